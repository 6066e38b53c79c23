import assert from 'node:assert/strict';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { headerText, sealed, seedOf } from '../../src/state/format.js';
import { linesOf, runCli } from '../support/cli.js';
import { until, Workplace } from '../support/daemon.js';

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

  async function listed(): Promise<string[]> {
    const { stdout } = await runCli(['list', '--json', '--control-socket', place.controlSocket]);
    return linesOf(stdout).map((line) => {
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

  it('gives way by rank when there are more than max-entries now, and the table follows', async () => {
    place.writeConfig(['max-entries 2']);
    leave(entryBody('10.0.0.1'), entryBody('10.0.0.2', 'attempt', 3), entryBody('10.0.0.3', 'pool'));
    putIntoTable('10.0.0.1', '10.0.0.2', '10.0.0.3');
    await place.ready();
    await tableHas('10.0.0.1', '10.0.0.2');
    assert.deepEqual((await listed()).sort(), ['10.0.0.1 attempt', '10.0.0.2 attempt']);
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
