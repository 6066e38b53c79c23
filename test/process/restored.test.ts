import assert from 'node:assert/strict';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { headerText, sealed, seedOf } from '../../src/state/format.js';
import { linesOf, runCli } from '../support/cli.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { addresses } from '../support/writing.js';

const LIFE_MS = 3_000_000;
const NOBODY = 65_534;

describe('what an earlier run has left', () => {
  let place: Workplace;
  beforeEach(async () => {
    place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root');
  });
  afterEach(() => place.dispose());

  /** A state file as it was written a moment ago. */
  function leave(...bodies: readonly string[]): void {
    const header = headerText(0x9f2c31ab);
    const lines = [`T ${Date.now()} 0`, ...bodies].map((body) => sealed(body, seedOf(header)));
    mkdirSync(dirname(place.stateFile));
    writeFileSync(place.stateFile, `${header}\n${lines.join('')}`);
    if (process.getuid?.() !== 0) return;
    for (const path of [dirname(place.stateFile), place.stateFile]) chownSync(path, NOBODY, NOBODY);
  }

  const entryBody = (prefix: string, origin = 'attempt', admissions = 0): string =>
    `+ ${prefix} ${origin} 0 ${LIFE_MS} 0 1 ${admissions}`;

  /** The table had them all, too. */
  function putIntoTable(...prefixes: readonly string[]): void {
    place.pfctl.putEntries(prefixes, Math.floor(Date.now() / 1000));
  }

  const ask = async (...args: string[]): Promise<string> =>
    (await runCli([...args, '--control-socket', place.controlSocket])).stdout;

  async function end(daemon: Daemon): Promise<void> {
    daemon.kill('SIGTERM');
    assert.equal(await daemon.ended, 0);
    // for the next one
    place.closePflog();
    place.openPflog();
  }

  async function listed(): Promise<string[]> {
    return linesOf(await ask('list', '--json')).map((line) => {
      const { prefix, origin } = JSON.parse(line) as { prefix: string; origin: string };
      return `${prefix} ${origin}`;
    });
  }

  async function tableHas(...prefixes: readonly string[]): Promise<void> {
    const expected = [...prefixes].sort().join();
    await until(
      `the table has ${expected}`,
      async () => (await place.pfctl.addresses()).sort().join() === expected,
    );
  }

  it('is not believed about addresses that no sender has, and is taken out of the table', async () => {
    const impossible = [
      '0.0.0.0',
      '127.0.0.1',
      '127.0.0.0/24',
      '224.0.0.1',
      '::1',
      '::ffff:192.0.2.1',
      'ff02::1',
    ];
    const ours = ['192.168.1.3', '192.168.1.4', '2001:dead:beef::1'];
    const possible = ['198.51.100.7', '192.168.1.5', '2001:dead:beef::/64'];
    leave(...[...impossible, ...ours, ...possible].map((prefix) => entryBody(prefix)));
    putIntoTable(...impossible, ...ours, ...possible);
    const daemon = await place.ready();
    await daemon.line(
      /0\.0\.0\.0, and 9 more entries of the state file: not taken over, for no sender has such an address/,
    );
    await tableHas(...possible);
    assert.deepEqual((await listed()).sort(), possible.map((prefix) => `${prefix} attempt`).sort());
  });

  it('is put back into a table that FreeBSD cannot list, of 70,000 entries; what it does not know goes', async () => {
    await place.dispose();
    place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root', 'freebsd15');
    const all = addresses(70_000);
    putIntoTable(...all, '203.0.113.9');
    leave(...all.slice(10_000).map((one) => entryBody(one)));
    const daemon = await place.ready();
    assert.match(
      daemon.stdout,
      /has more entries than FreeBSD lists at once \(net\.pf\.request_maxcount: 65535\)[^\n]*sysctl[^\n]*\/etc\/sysctl\.conf[^]*70001 entries taken out of [^\n]*, 60000 of them put back[^]*is ready: [^\n]* with 60000 entries/,
    );
    await until('all are back', async () => (await place.pfctl.addresses()).length === 60_000);
    assert.deepEqual(await place.pfctl.addresses(), all.slice(10_000));
    await end(daemon);
    // the next start finds nothing to say
    place.pfctl.clearCalls();
    const again = await place.ready();
    assert.doesNotMatch(again.stdout, /lists at once/);
    assert.match(again.stdout, /with 60000 entries/);
    assert.equal(place.pfctl.calls().filter(({ argv }) => argv.includes('flush')).length, 0);
  });

  it('gives way by rank when there are more than max-entries now, and the table follows', async () => {
    place.writeConfig(['max-entries 2']);
    leave(entryBody('10.0.0.1'), entryBody('10.0.0.2', 'attempt', 3), entryBody('10.0.0.3', 'pool'));
    putIntoTable('10.0.0.1', '10.0.0.2', '10.0.0.3');
    await place.ready();
    await tableHas('10.0.0.1', '10.0.0.2');
    assert.deepEqual((await listed()).sort(), ['10.0.0.1 attempt', '10.0.0.2 attempt']);
  });

  it('by "allow" is taken out when the configuration does not name it any more, however wide it is', async () => {
    const wide = ['198.51.0.0/16', '2001:db8::/32', '203.0.113.9'];
    place.writeConfig(wide.map((network) => `allow ${network}`));
    // from the operator's hand
    putIntoTable('10.0.0.0/8');
    const first = await place.ready();
    await tableHas('10.0.0.0/8', ...wide);
    await end(first);

    place.writeConfig(['allow 203.0.113.9']);
    const second = await place.ready();
    await second.line(
      /not allowed any more, and taken out of pf table <mx-white>: 198\.51\.0\.0\/16, 2001:db8::\/32/,
    );
    await tableHas('10.0.0.0/8', '203.0.113.9');
    assert.match(
      await ask('why', '198.51.100.7', '--no-dns'),
      /^now: +it is refused at the real MX: it is not/m,
    );
    await end(second);

    // and what is put in by hand afterwards is left alone
    putIntoTable('198.51.0.0/16');
    await place.ready();
    await tableHas('10.0.0.0/8', '198.51.0.0/16', '203.0.113.9');
  });

  it('by "allow" is remembered until it is out: one that was taken back while pfctl failed, too', async () => {
    place.writeConfig(['allow 198.51.0.0/16']);
    const first = await place.ready();
    await tableHas('198.51.0.0/16');
    place.pfctl.setFault({ mode: 'fail', only: 'delete' });
    place.writeConfig([]);
    assert.match(await ask('reload'), /0 allowed at all times/);
    await first.line(/cannot be written/);
    await end(first);
    place.pfctl.setFault(null);
    await place.ready();
    await tableHas();
  });

  it('by hand, wider than any sender, decides, and is told by why and status', async () => {
    place.writeConfig(['allow 203.0.113.0/24']);
    leave(entryBody('198.51.100.7'), entryBody('192.0.2.7'));
    putIntoTable('198.51.0.0/16', '203.0.0.0/16', '192.0.2.7');
    await place.pfctl.run(['-qt', 'mx-white', '-T', 'add', '--', '!198.51.0.9', '!203.0.113.9']);
    await place.ready();
    const now = async (address: string): Promise<string> =>
      /^now: +(.*(?:\n +.*)*)/m.exec(await ask('why', address, '--no-dns'))?.[1]?.replace(/\s+/g, ' ') ?? '';
    const theirs = "which is in the table and not mxallowd's";
    assert.equal(await now('198.51.3.3'), `it is let in for good, by 198.51.0.0/16, ${theirs}`);
    assert.equal(await now('198.51.0.9'), `it is refused at the real MX, by ! 198.51.0.9, ${theirs}`);
    assert.equal(await now('203.0.113.9'), `it is refused at the real MX, by ! 203.0.113.9, ${theirs}`);
    assert.match(await now('203.0.113.8'), /^it is let in at all times, by the configuration/);
    assert.match(await now('198.51.100.7'), /^it is let in for another (?:\d+[dhms])+, as 198\.51\.100\.7/);
    assert.match(await now('192.0.2.8'), /^it is refused at the real MX: it is not in the whitelist/);
    const status = (await ask('status')).replace(/\s+/g, ' ');
    assert.match(
      status,
      /has 4 networks or exceptions that are not mxallowd's and never expire: [^[]*198\.51\.0\.0\/16/,
    );
    assert.match(status, /\[table-foreign\]/);
  });

  it('by name is a sender of its own when it tries: the table has its network instead', async () => {
    leave(entryBody('2001:db8:0:1::1', 'name', 2));
    putIntoTable('2001:db8:0:1::1');
    const daemon = await place.ready();
    place.log(frames(6, 1, 'fake', 1));
    await daemon.line(
      /2001:db8:0:1::1 to a fake mailserver, adding to whitelist \(it came in with another sender/,
    );
    await tableHas('2001:db8:0:1::/64');
    assert.deepEqual(await listed(), ['2001:db8:0:1::/64 attempt']);
  });
});
