import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RefusedSender } from '../../src/control/protocol.js';
import { linesOf, runCli } from '../support/cli.js';
import { until, Workplace } from '../support/daemon.js';
import { frame4, ipv4, tcp } from '../support/frames.js';
import type { Frame } from '../../src/packet/frame.js';

const REAL = '192.168.1.4';
const STRANGER = '203.0.113.7';
const IN_TABLE = '198.51.100.9';
const PASS = 0;
const BLOCK = 1;

let sequence = 0;

function syn(source: string, action: number): Frame {
  const payload = tcp({ sequence: ++sequence });
  return frame4(ipv4({ source, destination: REAL, payload }), { action });
}

describe('rules of pf that let everybody in for now', () => {
  let place: Workplace;
  before(async () => {
    place = await Workplace.create(process.getuid?.() === 0 ? 'nobody' : 'root');
    // an operator's network
    place.pfctl.putEntries(['198.51.0.0/16'], Math.floor(Date.now() / 1000));
    await place.ready();
  });
  after(() => place.dispose());

  const ask = async (...args: readonly string[]): Promise<string> =>
    (await runCli([...args, '--control-socket', place.controlSocket])).stdout;
  const refused = async (): Promise<RefusedSender[]> =>
    linesOf(await ask('refused', '--json')).map((line) => JSON.parse(line) as RefusedSender);

  it('show who would be refused without them, and not whom the table lets in', async () => {
    place.log([syn(IN_TABLE, PASS), syn(STRANGER, PASS)]);
    await until('it is told', async () => (await refused()).length > 0);
    const told = (await refused()).map(({ prefix, count, passed, isIn }) => ({
      prefix,
      count,
      passed,
      isIn,
    }));
    assert.deepEqual(told, [{ prefix: STRANGER, count: 1, passed: 1, isIn: 'no' }]);
    const why = await ask('why', STRANGER, '--no-dns');
    assert.match(why, /^now: +it is not in the whitelist, and let in all the same:\n +by pf's rules/m);
    assert.match(why, /^would have been kept out: 1 time/m);
    assert.doesNotMatch(why, /refus/);
  });

  it('are told from rules that drop', async () => {
    place.log([syn(STRANGER, BLOCK)]);
    await until('it is refused', async () => (await refused())[0]?.count === 2);
    const why = await ask('why', STRANGER, '--no-dns');
    assert.match(why, /^now: +it is refused at the real MX/m);
    assert.match(why, /^refused: +2 times \(1 time let in all the same\)/m);
  });
});
