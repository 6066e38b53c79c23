import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import type { ListedEntry, StatusReport, WhyReport } from '../../src/control/protocol.js';
import { runCli } from '../support/cli.js';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { dnsUnavailable, NameServer } from '../support/dns.js';
import { GOOGLE, GOOGLE_ZONE } from '../support/spf-zones.js';

const NETWORKS = [...GOOGLE.ipv4, ...GOOGLE.ipv6].sort();
const ZONES = {
  'google.test': GOOGLE_ZONE,
  'example.com': `
@ TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.7 -all"
evil TXT "v=spf1 ip4:0.0.0.0/0 ip4:10.0.0.0/8 ip4:198.51.100.0/24 ip4:192.168.1.0/24 +all"`,
};

const hasMonitor = process.getuid?.() === 0;

describe('the networks of allowed domains', { skip: dnsUnavailable() }, () => {
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

  const configure = (...domains: string[]): void =>
    place.writeConfig([
      `dns-server ${server.address}`,
      'dns-timeout 1',
      ...domains.map((name) => `allow-domain ${name}`),
    ]);
  const tableHas = (texts: readonly string[]): Promise<void> =>
    until(`the table has ${texts.length}`, async () => {
      const found = await place.pfctl.addresses();
      return found.sort().join() === [...texts].sort().join();
    });
  const list = async (): Promise<ListedEntry[]> =>
    (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
  const status = async (): Promise<StatusReport> =>
    (await ask(place.controlSocket, { command: 'status' })).result;
  const why = async (address: string): Promise<WhyReport> =>
    (await ask(place.controlSocket, { command: 'why', address })).result;

  async function end(daemon: Daemon): Promise<void> {
    daemon.kill('SIGTERM');
    assert.equal(await daemon.ended, 0);
    place.closePflog();
    place.openPflog();
  }

  it('are in the table, in the list with their domain, and explained', async () => {
    configure('google.test');
    const daemon = await place.ready();
    await tableHas(NETWORKS);
    const listed = await list();
    assert.deepEqual(listed.map(({ prefix }) => prefix).sort(), NETWORKS);
    assert.ok(listed.every(({ origin, name }) => origin === 'domain' && name === 'google.test'));
    const { domains, findings } = await status();
    assert.deepEqual(
      [domains, findings.filter(({ id }) => id.startsWith('domain'))],
      [{ count: 1, networks: 90 }, []],
    );
    const { now, text, entry } = await why('64.3.0.7');
    assert.deepEqual(
      [now, text, entry?.prefix],
      [
        'always-allowed',
        'it is let in at all times, by the configuration (allow-domain google.test: 64.3.0.0/19)',
        '64.3.0.0/19',
      ],
    );
    const shown = (await runCli(['why', '64.3.0.7', '--no-dns', '--control-socket', place.controlSocket]))
      .stdout;
    assert.match(
      shown,
      /^network: +64\.3\.0\.0\/19, by the SPF record of google\.test: named\s+(?:now|\d+ s ago)$/m,
    );
    const ofDomain = await runCli([
      'list',
      '--origin',
      'domain',
      '64.3.0.7',
      '--control-socket',
      place.controlSocket,
    ]);
    assert.match(ofDomain.stdout, /^64\.3\.0\.0\/19 +domain .* google\.test$/m);
    assert.doesNotMatch(daemon.stdout, /must not/);
  });

  it('are kept over a restart, and over one that finds DNS dead; the table is not touched', async () => {
    configure('google.test');
    const daemon = await place.ready();
    await tableHas(NETWORKS);
    await end(daemon);
    assert.deepEqual((await place.pfctl.addresses()).sort(), NETWORKS);
    await server.dispose();
    place.pfctl.clearCalls();
    const next = await place.ready();
    await next.line(
      /allow-domain google\.test: DNS does not answer .* its 90 networks stay; it is asked again/,
    );
    assert.equal((await list()).length, 90);
    assert.deepEqual((await place.pfctl.addresses()).sort(), NETWORKS);
    const written = place.pfctl.calls().filter(({ argv }) => argv.includes('add') || argv.includes('delete'));
    assert.deepEqual(written, []);
    await end(next);
    // as a reboot leaves it
    place.pfctl.emptyTable();
    await place.ready();
    await tableHas(NETWORKS);
    server = await NameServer.start(ZONES);
  });

  it('go when the configuration names their domain no more: at a reload, and at a start', async () => {
    configure('google.test', 'example.com');
    const daemon = await place.ready();
    await tableHas([...NETWORKS, '198.51.100.0/24', '203.0.113.7']);
    configure('example.com');
    await runCli(['reload', '--control-socket', place.controlSocket]);
    await tableHas(['198.51.100.0/24', '203.0.113.7']);
    await end(daemon);
    configure();
    const next = await place.ready();
    await tableHas([]);
    await next.line(
      /not allowed any more, and taken out of pf table .*: 198\.51\.100\.0\/24, 203\.0\.113\.7/,
    );
    assert.deepEqual(await list(), []);
  });

  it('are none of those that let in everybody, or what is ours: a record that says so changes nothing but a warning', async () => {
    configure('evil.example.com');
    const daemon = await place.ready();
    await daemon.line(
      /allow-domain evil\.example\.com: passed over: "\+all" of evil\.example\.com names everybody, /,
    );
    await tableHas(['198.51.100.0/24']);
    const { findings } = await status();
    assert.match(
      findings.find(({ id }) => id === 'domain-passed-over')?.message ?? '',
      /0\.0\.0\.0\/0 .*10\.0\.0\.0\/8 /,
    );
    // others get in as before
    place.log(frames(4, 1, 'fake', 1));
    await tableHas(['198.51.100.0/24', '10.0.0.1']);
    assert.doesNotMatch(daemon.stdout, /must not/);
  });

  it('are put back when the table has lost them, and survive the engine', async (t) => {
    if (!hasMonitor) return t.skip('not root: no engine of its own');
    configure('google.test');
    const daemon = await place.ready();
    await tableHas(NETWORKS);
    await until('all is kept', async () => (await status()).state?.writtenAgoMs !== undefined);
    process.kill((await status()).enginePid ?? 0, 'SIGKILL');
    place.closePflog();
    place.openPflog();
    await daemon.line(/the engine works again/);
    await tableHas(NETWORKS);
    place.pfctl.emptyTable();
    await runCli(['reload', '--control-socket', place.controlSocket]);
    await tableHas(NETWORKS);
    assert.doesNotMatch(daemon.stdout, /must not/);
  });
});
