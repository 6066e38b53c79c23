import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ListedEntry } from '../../src/control/protocol.js';
import { runCli } from '../support/cli.js';
import { ask } from '../support/control.js';
import { until, Workplace } from '../support/daemon.js';
import { dnsUnavailable, NameServer } from '../support/dns.js';
import { frame4, ipv4, tcp } from '../support/frames.js';

const ZONES = {
  'list.test.org': `
7.100.51.198 A 127.0.10.2
9.100.51.198 A 127.0.10.0
66.100.51.198 A 127.0.0.255`,
  'all.test.org': '* A 127.0.10.3',
};
const KNOWN = '198.51.100.7';

const hasMonitor = process.getuid?.() === 0;

describe('whom a DNS allow list knows', { skip: dnsUnavailable() }, () => {
  let place: Workplace;
  let server: NameServer;
  beforeEach(async () => {
    place = await Workplace.create(hasMonitor ? 'nobody' : 'root');
    server = await NameServer.start(ZONES);
  });
  afterEach(async () => {
    await place.dispose();
    await server.dispose();
  });

  const configure = (zone: string, ...lines: readonly string[]): void =>
    place.writeConfig([`dns-server ${server.address}`, 'dns-timeout 30', `dnswl ${zone}`, ...lines]);
  let packets = 0;
  /** pf drops SYNs to the real MX, each of them another packet, and logs them. */
  const refuse = (...sources: readonly string[]): void =>
    place.log(
      sources.map((source) =>
        frame4(ipv4({ source, destination: '192.168.1.4', payload: tcp({ sequence: ++packets }) })),
      ),
    );
  const list = async (): Promise<ListedEntry[]> =>
    (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
  const statusFinding = async (): Promise<string | undefined> => {
    const { findings } = (await ask(place.controlSocket, { command: 'status' })).result;
    return findings.find(({ id }) => id.startsWith('dnswl'))?.message;
  };
  /** Its SYN is sent again until it is in the table: the list may not have been tested when it came first. */
  const comesIn = (source: string): Promise<void> =>
    until(`${source} is in the table`, async () => {
      refuse(source);
      return (await place.pfctl.addresses()).includes(source);
    });

  it('is in the table, in list, why and stats, and over a kill, too', async () => {
    configure('list.test.org');
    const daemon = await place.ready();
    await comesIn(KNOWN);
    refuse('198.51.100.9', '203.0.113.7');
    await daemon.line(/Adding 198\.51\.100\.7 to whitelist: known to list\.test\.org, with trust 2/);
    await daemon.line(/Dropping connection attempt from 203\.0\.113\.7 /);
    assert.deepEqual(
      (await list()).map(({ prefix, origin }) => [prefix, origin]),
      [[KNOWN, 'dnswl']],
    );
    const { counters, names } = (await ask(place.controlSocket, { command: 'stats' })).result;
    assert.equal(counters.listed, 1);
    assert.ok((names?.asked ?? 0) >= 2, 'what was asked of the list is told');
    const why = (await ask(place.controlSocket, { command: 'why', address: KNOWN })).result;
    assert.deepEqual([why.now, why.entry?.origin], ['whitelisted', 'dnswl']);
    const asked = ['why', KNOWN, '--no-dns', '--control-socket', place.controlSocket];
    assert.match((await runCli(asked)).stdout, /^entry: +198\.51\.100\.7, by dnswl: /m);
    assert.equal(await statusFinding(), undefined);
    await until('the state file has it', () => {
      return (
        existsSync(place.stateFile) &&
        /O 198\.51\.100\.7 dnswl\n/.test(readFileSync(place.stateFile, 'latin1'))
      );
    });
    daemon.kill('SIGKILL');
    await daemon.ended;
    place.closePflog();
    place.openPflog();
    await place.ready();
    assert.deepEqual(
      (await list()).map(({ prefix, origin }) => [prefix, origin]),
      [[KNOWN, 'dnswl']],
    );
  });

  it('is stored with its network, where the configuration says so', async () => {
    configure('list.test.org', 'ipv4-prefix 24');
    await place.ready();
    await until('its network is in the table', async () => {
      refuse(KNOWN);
      return (await place.pfctl.addresses()).includes('198.51.100.0/24');
    });
  });

  it('is not let in any more once too much was asked; a reload takes another list', async () => {
    configure('list.test.org');
    const daemon = await place.ready();
    await until('the list has said that too much was asked', async () => {
      refuse('198.51.100.66');
      return (await statusFinding()) !== undefined;
    });
    assert.match(
      (await statusFinding()) ?? '',
      /^dnswl list\.test\.org: it answers 127\.0\.0\.255 about 198\.51\.100\.66: too much was asked of it; it has not been asked for /,
    );
    refuse(KNOWN);
    await daemon.line(/Dropping connection attempt from 198\.51\.100\.7 /);
    assert.deepEqual(await list(), []);
    configure('all.test.org');
    await runCli(['reload', '--control-socket', place.controlSocket]);
    await daemon.line(/dnswl all\.test\.org: it lists 127\.0\.0\.1, so perhaps everybody/);
    configure('list.test.org');
    await runCli(['reload', '--control-socket', place.controlSocket]);
    await comesIn(KNOWN);
  });
});
