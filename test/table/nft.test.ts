import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { systemClock } from '../../src/clock.js';
import type { Stage } from '../../src/demo/stage.js';
import { tableText } from '../../src/nft/conf.js';
import { nftSpec } from '../../src/nft/spec.js';
import { formatPrefix } from '../../src/packet/address.js';
import { packageFolder } from '../../src/version.js';
import { eachElement, parseSet } from '../../src/table/nft-output.js';
import { classifyNft, essenceOfNft } from '../../src/table/nft-program.js';
import { NftTable } from '../../src/table/nft.js';
import type { TableEntry, TableReply } from '../../src/table/table.js';
import { configOf } from '../support/config.js';
import { nftUnavailable, nftWrapper, openStage } from '../support/stage.js';
import { Scratch } from '../support/cli.js';
import { addresses, HANGS_MS, prefix } from '../support/writing.js';
import { WORLD } from '../../src/demo/world.js';

interface Call {
  readonly name: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const CALLS = JSON.parse(
  readFileSync(join(packageFolder(), 'test', 'fixtures', 'nft', '1.0.6-calls.json'), 'utf8'),
) as readonly Call[];

function call(name: string): Call {
  const found = CALLS.find((one) => one.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

describe('what nft 1.0.6 has said', () => {
  it('of calls that failed is understood', () => {
    const failures = CALLS.filter(({ status }) => status !== 0).map(({ name, stderr }) => [
      name,
      classifyNft(stderr),
    ]);
    assert.deepEqual(failures, [
      ['list of a table that is not there', 'missing-table'],
      ['add to a table that is not there', 'missing-table'],
      ['list of a set that is not there', 'missing-table'],
      ['add to a set that is not there', 'missing-table'],
      ['delete what is not there', 'refused'],
      ['delete a network that is not there', 'refused'],
      ['a network within another', 'refused'],
      ['add to a full set', 'no-room'],
      ['add to a full set and delete', 'no-room'],
      ['add two to a full set', 'no-room'],
      ['no address', 'refused'],
      ['without CAP_NET_ADMIN', 'permission'],
    ]);
  });

  it('is told on one line, without the commands', () => {
    assert.equal(
      essenceOfNft(call('add to a full set').stderr),
      'line 1:38-46: Error: Could not process rule: Too many open files in system',
    );
    assert.equal(
      essenceOfNft(call('without CAP_NET_ADMIN').stderr),
      'netlink: Error: cache initialization failed: Operation not permitted',
    );
  });

  it('of sets is read with the time that is left, networks with their lengths', () => {
    const elements = (name: string, length?: number): [string, number | undefined][] => {
      const found: [string, number | undefined][] = [];
      eachElement(call(name).stdout, length, (text, seconds) => found.push([text, seconds]));
      return found;
    };
    assert.deepEqual(elements('list'), [
      ['192.0.2.1', 86399],
      ['192.0.2.2', 59],
    ]);
    assert.deepEqual(elements('list of networks'), [
      ['198.51.100.0/24', 59],
      ['203.0.113.7', 59],
    ]);
    assert.deepEqual(elements('list of IPv6', 64), [['2001:db8:0:1::/64', 59]]);
    assert.deepEqual(elements('list of an empty set'), []);
    const bySlowWay = parseSet(call('list of networks').stdout)?.elements.map(({ prefix: one, expiresS }) => [
      formatPrefix(one),
      expiresS,
    ]);
    assert.deepEqual(elements('list of networks'), bySlowWay);
  });
});

const SERVERS = { fakeMailserver: WORLD.fake, realMailserver: WORLD.real, firewall: ['nft'] };

describe('our table in nftables', { skip: nftUnavailable() }, () => {
  const scratch = new Scratch();
  let stage: Stage;
  let wrapper: string;
  before(async () => {
    stage = await openStage();
    wrapper = nftWrapper(stage.world, scratch);
  });
  after(async () => {
    await stage.close();
    scratch.remove();
  });
  afterEach(() => nft('flush ruleset'));

  const nft = (text: string): Promise<string> => stage.world.script(`nft '${text}'`, 'mx');
  const open = async (options: Parameters<typeof configOf>[0] = {}): Promise<NftTable> => {
    const config = configOf({ ...SERVERS, ...options }, 'linux');
    await stage.world.script(`nft -f - <<'X'\n${tableText(nftSpec(config, 'live'))}X`, 'mx');
    const lengths = { 4: config.ipv4Prefix, 6: config.ipv6Prefix };
    return new NftTable({ path: wrapper, lengths, timeoutMs: HANGS_MS, clock: systemClock });
  };
  const list = async (table: NftTable): Promise<Record<string, number | undefined>> => {
    const found: Record<string, number | undefined> = {};
    const reply = await table.show((entry) => {
      const read = entry.read() as TableEntry;
      assert.equal(entry.negated, false);
      found[`${entry.isByKernel ? '~' : ''}${formatPrefix(read.prefix)}`] = read.expiresInMs;
    });
    assert.ok(reply.ok, reply.ok ? '' : reply.message);
    return found;
  };
  const isOk = (reply: TableReply): void => assert.ok(reply.ok, reply.ok ? '' : reply.message);
  /** Whether a time is what was given, less what has passed; nft tells whole seconds. */
  const isAbout = (ms: number | undefined, seconds: number): void => {
    assert.ok(
      ms !== undefined && ms <= seconds * 1000 && ms > (seconds - 600) * 1000,
      `${ms} of ${seconds} s`,
    );
  };

  it('holds each entry in the set that it belongs to, for its time', async () => {
    const table = await open();
    const texts = ['192.0.2.1', '2001:db8:0:1::/64', '2001:db8:7::7', '198.51.100.0/24', '2001:db8:8::/48'];
    isOk(await table.add(texts.map(prefix), [1000, 2000, 3000, 4000, 5000]));
    const found = await list(table);
    assert.deepEqual(Object.keys(found).sort(), [...texts].sort());
    texts.forEach((text, at) => isAbout(found[text], 1000 * (at + 1)));
    assert.match(await nft('list set inet mx_white granted6'), /2001:db8:0:1:: timeout/);
    assert.match(await nft('list set inet mx_white single6'), /2001:db8:7::7 timeout/);
    assert.match(await nft('list set inet mx_white wide6'), /2001:db8:8::\/48 timeout/);
  });

  it('gives who is there another time, a shorter one, too', async () => {
    const table = await open();
    isOk(await table.add([prefix('192.0.2.1'), prefix('198.51.100.0/24')], [5000, 5000]));
    isOk(await table.add([prefix('192.0.2.1'), prefix('198.51.100.0/24')], [900_000, 1000]));
    const found = await list(table);
    isAbout(found['192.0.2.1'], 900_000);
    isAbout(found['198.51.100.0/24'], 1000);
  });

  it('takes out of all sets who is to go, and those who are not there spoil nothing', async () => {
    const table = await open();
    await nft('add element inet mx_white tried4 { 192.0.2.1, 192.0.2.2 }');
    await nft('add element inet mx_white flood4 { 192.0.2.1 }');
    isOk(await table.add([prefix('192.0.2.1'), prefix('203.0.113.0/28')], [1000, 1000]));
    assert.deepEqual(Object.keys(await list(table)).sort(), [
      '192.0.2.1',
      '203.0.113.0/28',
      '~192.0.2.1',
      '~192.0.2.2',
    ]);
    isOk(
      await table.delete(
        ['192.0.2.1', '192.0.2.9', '203.0.113.0/28', '10.0.0.0/8', '2001:db8::/64'].map(prefix),
      ),
    );
    assert.deepEqual(Object.keys(await list(table)), ['~192.0.2.2']);
    assert.doesNotMatch(await nft('list set inet mx_white flood4'), /192\.0\.2\.1/);
  });

  it('takes what it can where a set is full, and says so; who is there can still be written and taken out', async () => {
    // 4 and a quarter more: 5
    const table = await open({ maxEntries: ['4'] });
    const five = addresses(5);
    isOk(
      await table.add(
        five,
        five.map(() => 1000),
      ),
    );
    const more = await table.add([...addresses(2), ...addresses(60, 100)]);
    assert.equal(more.ok ? 'ok' : more.failure, 'no-room');
    assert.equal(Object.keys(await list(table)).length, 5);
    isOk(await table.add([five[0] ?? five[1] ?? prefix('10.0.0.0')], [9000]));
    isAbout((await list(table))['10.0.0.0'], 9000);
    isOk(await table.delete([...addresses(2), prefix('10.9.9.9')]));
    assert.equal(Object.keys(await list(table)).length, 3);
    const partly = await table.add(addresses(7, 200));
    assert.equal(partly.ok ? 'ok' : partly.failure, 'no-room');
    assert.equal(Object.keys(await list(table)).length, 5, 'two of them had room');
  });

  it('has all others of a batch when one is refused', async () => {
    const table = await open();
    isOk(await table.add([prefix('198.51.100.0/24')]));
    const reply = await table.add(
      ['192.0.2.1', '198.51.100.0/25', '192.0.2.2', '203.0.113.0/24'].map(prefix),
    );
    assert.equal(reply.ok ? 'ok' : reply.failure, 'refused');
    assert.match(reply.ok ? '' : reply.message, /interval overlaps with an existing one/);
    assert.deepEqual(Object.keys(await list(table)).sort(), [
      '192.0.2.1',
      '192.0.2.2',
      '198.51.100.0/24',
      '203.0.113.0/24',
    ]);
  });

  it('tells that the table has gone', async () => {
    const table = await open();
    assert.equal(await table.count(), undefined);
    await nft('flush ruleset');
    assert.equal(await table.count(), 'missing');
    for (const reply of [
      await table.add([prefix('192.0.2.1')], [60]),
      await table.delete([prefix('192.0.2.1')]),
      await table.show(() => undefined),
    ]) {
      assert.equal(reply.ok ? 'ok' : reply.failure, 'missing-table');
    }
  });

  it('takes ten thousand in one call, and lists them', async () => {
    const table = await open();
    const many = addresses(10_000);
    isOk(
      await table.add(
        many,
        many.map(() => 600),
      ),
    );
    const found = await list(table);
    assert.deepEqual(Object.keys(found).sort(), [...many].sort());
  });

  it('lets nobody write commands', () => {
    const table = new NftTable({
      path: wrapper,
      lengths: { 4: 32, 6: 64 },
      timeoutMs: 1,
      clock: systemClock,
    });
    for (const text of ['192.0.2.1 }; flush ruleset', '192.0.2.1/33', '10.0.0.1/8', '']) {
      assert.throws(() => table.add([text as ReturnType<typeof prefix>]), /not a prefix for nft/);
    }
  });
});
