// Daemons that share a real Redis.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import type { ListedEntry, StatusReport } from '../../src/control/protocol.js';
import type { Frame } from '../../src/packet/frame.js';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { RedisServer, redisUnavailable } from '../support/redis.js';

const skip = process.getuid?.() !== 0 ? 'needs root' : (redisUnavailable() ?? false);

const PASSWORD = 'not-to-be-seen-anywhere';
const attempt = (sender: number): Frame[] => frames(4, 1, 'fake', sender);
const request = (sender: number): Frame[] => frames(4, 1, 'real', sender);

/** A SYN to the real MX that pf has passed. */
function admission(sender: number): Frame[] {
  return request(sender).map((frame) => {
    // struct pfloghdr: action (PF_PASS 0) is the third byte
    frame.data[frame.offset + 2] = 0;
    return frame;
  });
}

async function listed(place: Workplace): Promise<ListedEntry[]> {
  return (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
}

async function statusOf(place: Workplace): Promise<StatusReport> {
  return (await ask(place.controlSocket, { command: 'status' })).result;
}

describe('daemons that share a Redis', { skip }, () => {
  let server: RedisServer;
  let places: Workplace[] = [];
  let daemons: Daemon[] = [];

  before(async () => {
    server = await new RedisServer([`requirepass ${PASSWORD}`]).start();
  });
  after(() => server.close());

  // the first one in one process, the second one with a monitor
  beforeEach(async () => {
    server.tell('FLUSHALL');
    places = [await Workplace.create(), await Workplace.create('nobody')];
    daemons = [];
    for (const [at, place] of places.entries()) {
      configure(place, `mx${at + 1}`);
      daemons.push(await place.ready());
    }
    for (const daemon of daemons) await daemon.line(/fleet: \d+ other gateways read/);
  });
  afterEach(async () => {
    for (const place of places) await place.dispose();
  });

  function configure(place: Workplace, node: string, more: readonly string[] = []): void {
    const file = join(place.folder, 'fleet-password');
    writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
    place.writeConfig([
      `fleet-url redis://127.0.0.1:${server.port}`,
      `fleet-password-file ${file}`,
      `fleet-node ${node}`,
      'fleet-manual',
      ...more,
    ]);
  }

  function at(index: number): Workplace {
    const place = places[index];
    if (place === undefined) throw new Error('no such place');
    return place;
  }

  async function has(place: Workplace, prefix: string): Promise<boolean> {
    return (await place.pfctl.addresses()).includes(prefix);
  }

  it('an attempt here is in the table there, and goes on there when it is admitted there', async () => {
    at(0).log(attempt(1));
    await until('it is an entry there', async () => (await listed(at(1))).length === 1);
    const [entry] = await listed(at(1));
    assert.equal(entry?.origin, 'peer');
    assert.deepEqual(entry.gateways, ['mx1']);
    const prefix = entry.prefix;
    const why = await ask(at(1).controlSocket, { command: 'why', address: prefix });
    assert.match(why.result.text, /\(peer; seen at mx1 \d+ s ago\)/);
    const fleet = await ask(at(1).controlSocket, { command: 'fleet' });
    assert.deepEqual(
      [fleet.result.theirs, fleet.result.peers.map(({ name, here }) => [name, here])],
      [1, [['mx1', 1]]],
    );
    assert.equal((await statusOf(at(1))).fleet?.node, 'mx2');
    await until('it is in the table there', () => has(at(1), prefix));
    at(1).log(admission(1));
    await until('it is known here, too', async () => {
      const [here] = await listed(at(0));
      return (here?.expiresInMs ?? 0) > 7 * 86_400_000;
    });
  });

  it('what is taken out by hand there is taken out here, and what is let in by hand there is let in here', async () => {
    at(0).log(attempt(1));
    await until('it is an entry there', async () => (await listed(at(1))).length === 1);
    const [{ prefix } = { prefix: '' }] = await listed(at(1));
    await ask(at(1).controlSocket, { command: 'forget', address: prefix });
    await until('it is gone here', async () => (await listed(at(0))).length === 0);
    await until('it is out of the table', async () => !(await has(at(0), prefix)));
    await ask(at(0).controlSocket, { command: 'allow', address: '203.0.113.7' });
    await until('it is let in there', () => has(at(1), '203.0.113.7'));
  });

  it('the password is in no argument, no environment and no log line', async () => {
    at(0).log(attempt(1));
    await until('it is an entry there', async () => (await listed(at(1))).length === 1);
    const { enginePid, pid } = await statusOf(at(1));
    const told = [pid, enginePid ?? 0, daemons[0]?.pid ?? 0].flatMap((one) =>
      ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${one}/${name}`, 'latin1')),
    );
    for (const text of [...told, ...daemons.map(({ stdout, stderr }) => stdout + stderr)])
      assert.ok(!text.includes(PASSWORD));
  });

  it('goes on alone when the Redis is killed, says so, and all are equal when it is back', async () => {
    const { port } = server;
    await server.kill();
    for (const daemon of daemons) await daemon.line(/fleet: redis:.* goes on alone/);
    assert.ok((await statusOf(at(0))).findings.some(({ id }) => id === 'fleet-alone'));
    at(0).log(attempt(1));
    at(1).log(attempt(2));
    await until(
      'each has its own',
      async () => (await listed(at(0))).length + (await listed(at(1))).length === 2,
    );
    await server.start(port);
    for (const place of places) {
      await until('both have both', async () => (await place.pfctl.addresses()).length === 2);
      await until('nothing is wrong', async () =>
        (await statusOf(place)).findings.every(({ id }) => id !== 'fleet-alone'),
      );
    }
  });

  it('what others have seen is kept over a restart without the Redis, and goes when nobody says so any more', async () => {
    at(0).log(attempt(1));
    await until('it is an entry there', async () => (await listed(at(1))).length === 1);
    const [{ prefix } = { prefix: '' }] = await listed(at(1));
    const { port } = server;
    await server.kill();
    daemons[1]?.kill('SIGTERM');
    await daemons[1]?.ended;
    at(1).closePflog();
    at(1).openPflog();
    const again = await at(1).ready();
    assert.equal((await listed(at(1)))[0]?.origin, 'peer');
    await ask(at(0).controlSocket, { command: 'forget', address: prefix });
    await server.start(port);
    await again.line(/fleet: \d+ other gateways read/);
    await until('it is gone', async () => (await listed(at(1))).length === 0);
    assert.deepEqual(readdirSync(at(1).folder).includes('fleet-password'), true);
  });

  it('a gateway that tells what it must not is believed only within limits', async () => {
    const nowMs = Date.now();
    const words = (values: Record<string, string>): string[] => Object.entries(values).flat();
    const head = { e: `${nowMs}-x`, n: '1', t: String(nowMs), ready: '1', v: '9', count: '7' };
    const far = String(nowMs + 900 * 86_400_000);
    const entry = `${nowMs} ${far} k`;
    const hash = {
      '0.0.0.0/0': entry,
      '198.51.100.0/24': entry,
      '127.0.0.1': entry,
      '203.0.113.9': entry,
      '203.0.113.10': `${nowMs + 3 * 3_600_000} ${far} k`,
      '203.0.113.11': 'junk',
      nobody: entry,
    };
    server.tell('HSET', 'mx:mx:now:evil', ...words(hash));
    server.tell('HSET', 'mx:mx:node:evil', ...words({ p: '1', ...head }));
    server.tell('HSET', 'mx:mx:node:later', ...words({ p: '2', ...head }));
    for (const place of places) {
      await until('it is read', async () => (await listed(place)).length > 0);
      const all = await listed(place);
      assert.deepEqual(
        all.map(({ prefix }) => prefix),
        ['203.0.113.9'],
      );
      assert.ok((all[0]?.expiresInMs ?? Infinity) <= 8 * 86_400_000);
      const { result } = await ask(place.controlSocket, { command: 'fleet' });
      assert.deepEqual(result.skipped, { unknown: 2, stamp: 1, prefix: 3, manual: 0 });
      assert.match(result.peers.find(({ name }) => name === 'later')?.problem ?? '', /later version/);
    }
  });

  it('a wrong password is said in words, and everything else goes on', async () => {
    const place = await Workplace.create();
    places.push(place);
    configure(place, 'mx3');
    writeFileSync(join(place.folder, 'fleet-password'), 'another one\n');
    const daemon = await place.ready();
    await daemon.line(/does not let us in \(fleet-password-file/);
    place.log(attempt(3));
    await until('it is in the table', async () => (await place.pfctl.addresses()).length === 1);
  });

  it('a file with the password that everybody may read is refused', async () => {
    const place = await Workplace.create();
    places.push(place);
    configure(place, 'mx3');
    writeFileSync(join(place.folder, 'fleet-password'), '');
    const { chmodSync } = await import('node:fs');
    chmodSync(join(place.folder, 'fleet-password'), 0o644);
    const daemon = place.start(['-F', '-s']);
    assert.equal(await daemon.ended, 78);
    await daemon.line(/everybody may read/);
  });
});
