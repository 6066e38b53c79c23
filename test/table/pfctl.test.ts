import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { formatPrefix, type PrefixText } from '../../src/packet/address.js';
import { systemClock } from '../../src/clock.js';
import { PfctlTable } from '../../src/table/pfctl.js';
import { classifyFailure, parseCtimeUtc, ShowParser } from '../../src/table/pfctl-output.js';
import { parseTables, SizesInRules } from '../../src/table/pfctl-tables.js';
import type { ShownEntry, TableEntry, TableFailure } from '../../src/table/table.js';
import { PfctlStandIn } from '../support/pfctl-harness.js';
import { type Flavour, FLAVOURS } from '../support/pfctl-state.js';
import { recordedCall } from '../support/recorded-pfctl.js';
import { addresses, HANGS_MS, prefix } from '../support/writing.js';

/** The standard output, or error, of a call of FreeBSD 10.4: `081-show-v.out`. */
function recording(name: string): string {
  const call = recordedCall('pfctl', Number(name.slice(0, 3)));
  return name.endsWith('.err') ? call.stderr : call.stdout;
}

function show(text: string): { entries: TableEntry[]; strange: string[] } {
  const shown: ShownEntry[] = [];
  const parser = new ShowParser((entry) => shown.push(entry));
  parser.push(text);
  parser.finish();
  return {
    entries: shown.flatMap((entry) => entry.read() ?? []),
    strange: shown.filter((entry) => entry.read() === undefined).map((entry) => entry.text),
  };
}

describe('what pfctl prints', () => {
  it('is read entry by entry with its time (recording 081: -v show)', () => {
    const { entries, strange } = show(recording('081-show-v.out'));
    assert.deepEqual(strange, []);
    assert.equal(
      entries.length,
      recording('081-show-v.out')
        .split('\n')
        .filter((line) => line.startsWith('  ')).length,
    );
    assert.ok(entries.length > 1000);
    const [first] = entries;
    assert.equal(first && formatPrefix(first.prefix), '8.9.10.11');
    assert.equal(first?.clearedAtMs, Date.UTC(2026, 10, 23, 18, 1, 42));
    const negated = entries.filter((entry) => entry.negated).map((entry) => formatPrefix(entry.prefix));
    assert.ok(negated.includes('10.1.2.4' as PrefixText));
  });

  it('is read beside counters (recording 229: a table with the counters keyword)', () => {
    const { entries, strange } = show(recording('229-counters-show-vv.out'));
    assert.deepEqual(strange, []);
    assert.deepEqual(
      entries.map((entry) => formatPrefix(entry.prefix)),
      ['192.0.2.1', '203.0.113.8'],
    );
    assert.ok(entries.every((entry) => entry.clearedAtMs === Date.UTC(2026, 10, 23, 18, 3, 9)));
  });

  it('is read without times, too (recording 018: show)', () => {
    const { entries } = show(recording('018-show-1.out'));
    assert.equal(entries.length, 13);
    assert.ok(entries.every((entry) => entry.clearedAtMs === undefined));
    assert.deepEqual(
      entries.slice(7, 12).map((entry) => `${entry.negated ? '!' : ''}${formatPrefix(entry.prefix)}`),
      ['198.51.100.0/25', '198.51.100.0/24', '198.51.100.5', '!198.51.100.9', '2001:db8::1'],
    );
  });

  it('does not become an entry when it is no address', () => {
    const { entries, strange } = show('   192.0.2.1\nsomething else\n   em0\n');
    assert.equal(entries.length, 1);
    assert.deepEqual(strange, ['em0']);
  });

  it('tells the time with one or two digits of the day', () => {
    assert.equal(parseCtimeUtc('Wed Jan  7 03:04:05 2026'), Date.UTC(2026, 0, 7, 3, 4, 5));
    assert.equal(parseCtimeUtc('Wed Jan 17 03:04:05 2026'), Date.UTC(2026, 0, 17, 3, 4, 5));
    assert.equal(parseCtimeUtc('Mer 17 jan 03:04:05 2026'), undefined);
  });

  for (const [folder, number, counts] of [
    ['pfctl', 194, { 'mx-white': 3 }],
    ['openbsd', 99, { 'mx-white': 1 }],
    ['openbsd', 129, { 'mx-white': 2 }],
    // it had five and one: the number of rules that refer to it is shown instead
    [
      'freebsd15',
      301,
      { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: undefined, 'mx-white': undefined, nosuchtable: undefined },
    ],
    [
      'freebsd15',
      310,
      { aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: undefined, 'mx-white': undefined, nosuchtable: undefined },
    ],
  ] as const) {
    it(`tells how many entries the tables have, where that can be believed (${folder} ${number})`, () => {
      const rows = parseTables(recordedCall(folder, number).stdout);
      assert.deepEqual(Object.fromEntries(rows.map(({ name, addresses }) => [name, addresses])), counts);
    });
  }

  it('tells nothing of an empty table when no rule refers to any: FreeBSD 15 shows that of a full one, too', () => {
    const table = (name: string, count: number): string =>
      `-pa----\t${name}\n\tAddresses:   ${count}\n\tReferences:  [ Anchors: 0   Rules: 0   ]\n`;
    assert.deepEqual(
      parseTables(table('one', 0) + table('two', 5)).map(({ addresses }) => addresses),
      [undefined, 5],
    );
  });

  for (const [folder, number, size] of [
    ['openbsd', 176, 1],
    ['freebsd15', 305, 5],
    ['freebsd15', 405, 1],
    ['pfctl', 196, 3],
  ] as const) {
    it(`tells it in the rules, too (${folder} ${number})`, () => {
      const sizes = new SizesInRules();
      sizes.take(recordedCall(folder, number).stdout);
      assert.equal(sizes.of('mx-white'), size);
      assert.equal(sizes.of('other'), undefined);
    });
  }

  it('is about a list that is too long: FreeBSD 15 (recording 403), not about an anchor', () => {
    assert.equal(classifyFailure(recordedCall('freebsd15', 403).stderr), 'too-long');
    // no table without an anchor
    assert.equal(classifyFailure('pfctl: Anchor does not exist.\n'), 'missing-table');
  });

  for (const [name, failure] of [
    ['105-nosuch-show', 'missing-table'],
    ['107-nosuch-delete', 'missing-table'],
    ['127-user-add', 'permission'],
    ['221-const-add', 'permission'],
    ['023-add-stdin-badline', 'refused'],
    ['120-no-table', 'refused'],
  ] as const satisfies readonly (readonly [string, TableFailure])[]) {
    it(`is a ${failure} in recording ${name}`, () => {
      assert.equal(classifyFailure(recording(`${name}.err`)), failure);
      assert.notEqual(recording(`${name}.rc`).trim(), '0');
    });
  }
});

/** Two rules that refer to the table, as pfctl shows them. */
const RULES = ['192.0.2.4', '2001:db8::4'].map(
  (address) => `pass in log quick on egress proto tcp from <mx-white> to ${address} port = smtp flags S/SA`,
);

function tableTests(flavour: Flavour): void {
  let pfctl: PfctlStandIn;
  const make = (settings: Partial<ConstructorParameters<typeof PfctlTable>[0]> = {}) =>
    new PfctlTable({
      path: pfctl.path,
      table: 'mx-white',
      anchor: '',
      timeoutMs: HANGS_MS,
      clock: systemClock,
      ...settings,
    });
  beforeEach(async () => {
    pfctl = await PfctlStandIn.create({ flavour });
  });
  afterEach(() => pfctl.dispose());

  it('tells how many addresses were really added and deleted', async () => {
    const table = make();
    const three = addresses(3);
    assert.deepEqual(await table.add(three.slice(0, 2)), { ok: true, changed: 2, created: false });
    assert.deepEqual(await table.add(three), { ok: true, changed: 1, created: false });
    assert.deepEqual(await table.delete([...three, prefix('192.0.2.9')]), {
      ok: true,
      changed: 3,
      created: false,
    });
  });

  it('tells that the command has made the table', async () => {
    pfctl.destroyTable();
    assert.deepEqual(await make().add(addresses(1)), { ok: true, changed: 1, created: true });
  });

  it('works on a table inside an anchor', async () => {
    const table = make({ anchor: 'mx', table: 'inside' });
    await table.add(addresses(1));
    assert.deepEqual(pfctl.calls()[0]?.argv, ['-a', 'mx', '-t', 'inside', '-T', 'add', '-f', '-']);
  });

  it('reads the times in UTC whatever the zone of the machine', async () => {
    pfctl.putEntries(['192.0.2.1'], 1_795_456_517);
    const entries: TableEntry[] = [];
    assert.equal((await make().show((entry) => entries.push(...[entry.read() ?? []].flat()))).ok, true);
    assert.equal(entries[0]?.clearedAtMs, 1_795_456_517_000);
  });

  for (const [how, rules] of [
    ['no rule refers to', []],
    ['a rule refers to', ['block in quick from <other> to any']],
  ] as const) {
    it(`reads the limit, and what other tables hold of it that ${how}`, async () => {
      pfctl.update((state) => {
        state.limit = 5000;
        state.rules = [...RULES, ...rules];
        state.references = { '': { 'mx-white': 2, ...(rules.length > 0 ? { other: 1 } : {}) } };
      });
      await pfctl.run(['-q', '-t', 'mx-white', '-T', 'add', '192.0.2.3']);
      await pfctl.run(['-q', '-t', 'other', '-T', 'add', ...addresses(7)]);
      await pfctl.run(['-q', '-t', 'more', '-T', 'add', ...addresses(40)]);
      assert.deepEqual(await make().limits(), { limit: 5000, usedByOthers: 47, listable: undefined });
    });
  }

  it('reads how many entries can be listed, where there is such a limit', async () => {
    const sysctl = join(pfctl.directory, 'sysctl');
    writeFileSync(sysctl, '#!/bin/sh\n[ "$*" = "-n net.pf.request_maxcount" ] && echo 65535\n', {
      mode: 0o755,
    });
    assert.equal((await make({ sysctl }).limits())?.listable, 65_535);
    writeFileSync(sysctl, '#!/bin/sh\necho "sysctl: unknown oid \'$2\'" >&2\nexit 1\n', { mode: 0o755 });
    assert.equal((await make({ sysctl }).limits())?.listable, undefined);
  });

  it('counts its entries without listing them', async () => {
    pfctl.update((state) => {
      state.rules = RULES;
      state.references = { '': { 'mx-white': 2 } };
    });
    const table = make();
    assert.equal(await table.count(), 0);
    pfctl.putEntries(addresses(5000), 1_700_000_000);
    await pfctl.run(['-q', '-t', 'mx-white', '-T', 'add', '!192.0.2.9', '198.51.100.0/24']);
    assert.equal(await table.count(), 5002);
    pfctl.destroyTable();
    assert.equal(await table.count(), 'missing');
    assert.deepEqual(
      pfctl.calls().filter(({ argv }) => argv.includes('show')),
      [],
    );
  });

  it('does not take a table for empty or full that no rule refers to', async () => {
    pfctl.putEntries(addresses(3), 1_700_000_000);
    assert.equal(await make().count(), flavour === 'freebsd15' ? undefined : 3);
  });

  it('counts what rules of an anchor refer to', async () => {
    pfctl.update((state) => {
      state.rules = ['anchor "mx" all {', ...RULES, '}'];
      state.references = { '': {}, mx: { 'mx-white': 2 } };
    });
    pfctl.putEntries(addresses(3), 1_700_000_000);
    assert.equal(await make().count(), 3);
  });

  it('knows nothing when pfctl fails', async () => {
    pfctl.setFault({ mode: 'fail' });
    assert.deepEqual([await make().count(), await make().limits()], [undefined, undefined]);
  });

  it('takes out everything at once', async () => {
    pfctl.putEntries(addresses(70_000), 1_700_000_000);
    assert.deepEqual(await make().flush(), { ok: true, changed: 70_000, created: false });
    assert.deepEqual(await pfctl.addresses(), []);
  });

  it('tells a table that is too long to be listed from one that is not there', async () => {
    pfctl.putEntries(addresses(66_000), 1_700_000_000);
    const reply = await make().show(() => undefined);
    if (flavour !== 'freebsd15') return assert.equal(reply.ok, true);
    assert.equal(!reply.ok && reply.failure, 'too-long');
    pfctl.setFault({ mode: 'fail', only: 'show', rc: 255, stderr: 'pfctl: Cannot allocate memory.' });
    const older = await make().show(() => undefined);
    assert.equal(!older.ok && older.failure, 'too-long', 'as before FreeBSD 15');
  });

  for (const text of [
    '0/0',
    '0.0.0.0/0',
    '10.0.0.0/7',
    '::/0',
    '2000::/3',
    'em0',
    '-192.0.2.1',
    '192.0.2.1 192.0.2.2',
    '192.0.2.1\n0/0',
    '!192.0.2.1',
    'any',
    '',
  ]) {
    it(`refuses ${JSON.stringify(text)} before pfctl is started`, async () => {
      await assert.rejects(make().add([text as PrefixText]), /not a prefix for pfctl/);
      assert.deepEqual(pfctl.calls(), []);
    });
  }

  for (const [name, fault, failure, words] of [
    ['a killed pfctl', { mode: 'kill' }, 'killed', /was killed by SIGKILL/],
    [
      'no room',
      { mode: 'fail', rc: 255, stderr: 'pfctl: Cannot allocate memory.' },
      'no-room',
      /Cannot allocate/,
    ],
    ['another status', { mode: 'fail', rc: 3 }, 'refused', /ended with status 3$/],
  ] as const) {
    it(`tells ${name} apart`, async () => {
      pfctl.setFault(fault);
      const reply = await make().add(addresses(1));
      assert.equal(!reply.ok && reply.failure, failure);
      assert.match(reply.ok ? '' : reply.message, words);
    });
  }

  it('tells a program that is not there apart', async () => {
    const reply = await make({ path: join(pfctl.directory, 'nothing') }).add(addresses(1));
    assert.equal(!reply.ok && reply.failure, 'not-started');
    assert.match(
      reply.ok ? '' : reply.message,
      /nothing does not exist \(it comes with pf, on OpenBSD and FreeBSD\)/,
    );
  });

  it('is not held up by a grandchild that keeps the pipes open', async () => {
    const wrapper = join(pfctl.directory, 'wrapper');
    const pidFile = join(pfctl.directory, 'grandchild');
    const script = `sleep 600 & echo $! >'${pidFile}'\necho "1/1 addresses added." >&2`;
    writeFileSync(wrapper, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const reply = await make({ path: wrapper }).add(addresses(1));
    assert.deepEqual(reply, { ok: true, changed: 1, created: false });
    // throws when it is not there any more
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  });
}

for (const flavour of FLAVOURS) {
  describe(`a pf table, with the pfctl of ${flavour}`, () => tableTests(flavour));
}
