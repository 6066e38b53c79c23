import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Domains, type DomainsParts } from '../../src/engine/domains.js';
import type { Line } from '../../src/engine/messages.js';
import type { KeptDomain } from '../../src/names/domain-networks.js';
import type { Own, RefusedNetwork } from '../../src/names/network-bounds.js';
import { spfNetworks, type SpfNetworks } from '../../src/names/spf-networks.js';
import { timedLookup, WireClient } from '../../src/names/wire.js';
import { formatPrefix, type PrefixText } from '../../src/packet/address.js';
import { configOf } from '../support/config.js';
import { until } from '../support/daemon.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';
import { GOOGLE, GOOGLE_ZONE, spf } from '../support/spf-zones.js';
import { HandClock } from '../support/hand-clock.js';
import { prefix } from '../support/observations.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const ZONES = {
  'google.test': GOOGLE_ZONE,
  'example.com': `
@ 300 TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 -all"
evil TXT "v=spf1 ip4:0.0.0.0/0 ip4:10.0.0.0/8 ip6:::/0 ip4:198.51.100.0/24 +all"
ours TXT "v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.128/25 -all"
every TXT "v=spf1 exists:%{i}.example.com ip4:198.51.100.9 -all"
many TXT ${spf(['include:many1.example.com', 'include:many2.example.com'])}
many1 TXT ${spf(numbers(120).map((i) => `ip4:50.1.${i}.1`))}
many2 TXT ${spf([...numbers(120).map((i) => `ip4:50.2.${i}.1`), 'include:many3.example.com'])}
many3 TXT ${spf(numbers(61).map((i) => `ip4:50.3.${i}.1`))}
${numbers(10)
  .map((i) => `full${i} TXT ${spf(numbers(4).map((k) => `ip4:6${i}.${4 * k}.0.0/14`))}`)
  .join('\n')}`,
};

/** Domains of a configuration, with a clock and DNS of their own. */
class Scene {
  readonly clock = new HandClock();
  readonly lines: Line[] = [];
  /** how often the networks, and what is kept, were said to be others */
  readonly changes = { networks: 0, kept: 0 };
  readonly asked: string[] = [];
  /** what the last word on the table was asked for */
  grants: (readonly PrefixText[])[] = [];
  /** look-ups that have been made */
  done = 0;
  readonly domains: Domains;

  constructor(
    public servers: readonly string[],
    public allowDomain: readonly string[],
    more: { readonly own?: Own; readonly denies?: readonly RefusedNetwork[] } = {},
  ) {
    const { own = [], denies } = more;
    const parts: DomainsParts = {
      config: () =>
        configOf({
          fakeMailserver: ['192.0.2.3'],
          realMailserver: ['192.0.2.4'],
          allowDomain: [...this.allowDomain],
        }),
      clock: this.clock,
      changed: (what) => this.changes[what]++,
      say: (line) => this.lines.push(line),
      interfaces: () => own,
      lookUp: (domain) => this.lookUp(domain),
      grant:
        denies &&
        ((networks) => {
          this.grants.push(networks);
          return Promise.resolve(denies.filter(({ network }) => networks.includes(network)));
        }),
    };
    this.domains = new Domains(parts);
  }

  private async lookUp(domain: Parameters<typeof spfNetworks>[1]): Promise<SpfNetworks> {
    this.asked.push(domain);
    // a server that does not answer is not waited for long
    const isDead = this.servers[0]?.startsWith('dead') === true;
    const client = new WireClient({
      servers: this.servers.map((server) => server.replace('dead ', '')),
      timeoutMs: isDead ? 20 : 5000,
      tries: isDead ? 1 : 5,
    });
    const result = await spfNetworks((type, name) => timedLookup(client, type, name), domain);
    client.close();
    setImmediate(() => this.done++);
    return result;
  }

  async start(kept: readonly KeptDomain[] = []): Promise<void> {
    await this.domains.restore(kept);
    this.domains.begin();
    await this.settled();
  }

  /** All that was begun has been taken over. */
  async settled(): Promise<void> {
    await until(
      'all look-ups are done',
      () => this.done === this.asked.length && this.clock.timersMs.length >= this.domains.size,
    );
  }

  /** Time goes by, and what is due then is looked up. */
  async pass(ms: number): Promise<void> {
    this.clock.pass(ms);
    await this.settled();
  }

  /** The same in steps, so that each look-up comes when it is due. */
  async passInSteps(ms: number): Promise<void> {
    const end = this.clock.monotonicMs() + ms;
    for (;;) {
      const next = Math.min(...this.clock.timersMs);
      const left = end - this.clock.monotonicMs();
      await this.pass(Math.min(next, left));
      if (next >= left) return;
    }
  }

  get networks(): string[] {
    return this.domains.networks.map(({ network }) => formatPrefix(network));
  }

  get said(): string[] {
    return this.lines.map(({ level, message }) => `${level}: ${message}`);
  }
}

describe('the networks of allowed domains', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  /** the same zones, and nothing in them */
  let gone: NameServer;
  let silent: SlowServer;
  const scenes: Scene[] = [];
  const scene = (...args: ConstructorParameters<typeof Scene>): Scene => {
    const made = new Scene(...args);
    scenes.push(made);
    return made;
  };
  before(async () => {
    server = await NameServer.start(ZONES);
    gone = await NameServer.start(Object.fromEntries(Object.keys(ZONES).map((zone) => [zone, ''])));
    silent = await SlowServer.start({ reply: () => 'never' });
  });
  afterEach(() => {
    for (const { domains } of scenes.splice(0)) domains.close();
  });
  after(async () => {
    await server.dispose();
    await gone.dispose();
    await silent.dispose();
  });

  it('are let in as soon as DNS has named them: 3 includes, 90 networks', async () => {
    const at = scene([server.address], ['google.test']);
    await at.start();
    assert.deepEqual([...at.networks].sort(), [...GOOGLE.ipv4, ...GOOGLE.ipv6].sort());
    assert.deepEqual(
      at.domains.networks.every(({ domain }) => domain === 'google.test'),
      true,
    );
    assert.deepEqual(at.said, [
      'info: allow-domain google.test: 90 networks are let in; its record names 90 new',
    ]);
    assert.deepEqual(at.changes, { networks: 1, kept: 1 });
    assert.deepEqual(at.domains.findings(), []);
    // the shortest time to live of the records
    assert.deepEqual(at.clock.timersMs, [300_000]);
  });

  it('are the same array, and nothing is said, as long as nothing changes', async () => {
    const at = scene([server.address], ['google.test']);
    await at.start();
    const { networks, kept } = at.domains;
    await at.pass(300_000);
    assert.deepEqual([at.asked.length, at.lines.length], [2, 1]);
    assert.equal(at.domains.networks, networks);
    assert.equal(at.domains.kept, kept);
    // when DNS has named them last is kept now and then
    await at.passInSteps(6 * HOUR_MS);
    assert.notEqual(at.domains.kept, kept);
    assert.equal(at.domains.networks, networks);
  });

  it('are gone an hour after they have gone from DNS', async () => {
    const at = scene([server.address], ['google.test', 'example.com']);
    await at.start();
    assert.equal(at.networks.length, 92);
    at.servers = [gone.address];
    await at.passInSteps(HOUR_MS);
    assert.equal(at.networks.length, 92);
    assert.deepEqual(
      at.domains.findings().map(({ id, message }) => `${id}: ${message}`),
      [
        'domain-none: allow-domain google.test: google.test has no SPF record: its 90 networks stay for an hour, unless that changes',
        'domain-none: allow-domain example.com: example.com has no SPF record: its 2 networks stay for an hour, unless that changes',
      ],
    );
    await at.passInSteps(5 * MINUTE_MS);
    assert.deepEqual(at.networks, []);
    assert.match(at.said.at(-1) ?? '', /0 networks are let in; its record names (2|90) gone/);
    assert.match(at.domains.findings()[0]?.message ?? '', /nobody is let in by it/);
  });

  it('stay when DNS is dead, with a finding after a day, for 30 days', async () => {
    const at = scene([server.address], ['google.test']);
    await at.start();
    at.servers = [`dead ${silent.address}`];
    // in large steps: how often it is asked again is another matter
    await at.pass(HOUR_MS);
    assert.equal(at.networks.length, 90);
    assert.deepEqual(at.said.slice(1), [
      'warn: allow-domain google.test: DNS does not answer (TXT of google.test: ETIMEOUT): its 90 networks stay; it is asked again',
    ]);
    assert.deepEqual(at.domains.findings(), []);
    await at.pass(DAY_MS);
    assert.deepEqual(at.domains.findings(), [
      {
        severity: 'warning',
        id: 'domain-unanswered',
        message:
          'allow-domain google.test: DNS has not answered for 24 h (TXT of google.test: ETIMEOUT): ' +
          'its 90 networks stay, each for 30 days since DNS has named it last',
      },
    ]);
    for (let day = 2; day < 30; day++) await at.pass(DAY_MS);
    assert.equal(at.networks.length, 90);
    await at.pass(DAY_MS);
    assert.equal(at.networks.length, 0);
    at.servers = [server.address];
    await at.pass(HOUR_MS);
    assert.equal(at.networks.length, 90);
    assert.deepEqual(at.said.slice(-2), [
      'info: allow-domain google.test: DNS answers again',
      'info: allow-domain google.test: 90 networks are let in; its record names 90 new',
    ]);
    assert.deepEqual(at.domains.findings(), []);
  });

  it('are not everybody, nor what nobody sends from: a record that says so changes nothing but a warning', async () => {
    const at = scene([server.address], ['evil.example.com']);
    await at.start();
    assert.deepEqual(at.networks, ['198.51.100.0/24']);
    const what =
      'passed over: "+all" of evil.example.com names everybody, ' +
      '0.0.0.0/0 (it is unspecified, or has such addresses), 10.0.0.0/8 (it is private, or has such addresses), ' +
      '::/0 (it is wider than /32)';
    assert.deepEqual(at.said, [
      'info: allow-domain evil.example.com: 1 network is let in; its record names 4 new',
      `warn: allow-domain evil.example.com: ${what}`,
    ]);
    assert.deepEqual(at.domains.findings(), [
      { severity: 'warning', id: 'domain-passed-over', message: `allow-domain evil.example.com: ${what}` },
    ]);
    await at.pass(HOUR_MS);
    assert.equal(at.lines.length, 2, 'it is said once');
  });

  it('are not ours, nor our neighbours', async () => {
    const own: Own = [[prefix('203.0.113.0/24'), 'the network of em0']];
    const at = scene([server.address], ['ours.example.com'], { own });
    await at.start();
    assert.deepEqual(at.networks, []);
    assert.match(
      at.said[1] ?? '',
      /192\.0\.2\.0\/24 \(it has addresses of our MX 192\.0\.2\.3\), 203\.0\.113\.128\/25 \(it has addresses of the network of em0\)/,
    );
  });

  it('are said not to be all when the record depends on the message', async () => {
    const at = scene([server.address], ['every.example.com']);
    await at.start();
    assert.deepEqual(at.networks, ['198.51.100.9']);
    assert.match(
      at.said[1] ?? '',
      /^info: .* which is not let in by this: "exists:%{i}\.example\.com" of every\.example\.com depends/,
    );
    assert.deepEqual(at.domains.findings(), []);
  });

  it('are 300 of a domain at the most', async () => {
    const at = scene([server.address], ['many.example.com']);
    await at.start();
    assert.equal(at.networks.length, 300);
    assert.match(at.said[1] ?? '', /passed over: 50\.3\.60\.1 \(the domain has 300 networks already\)$/);
  });

  it('have 2^23 IPv4 addresses at the most, all domains together', async () => {
    const at = scene(
      [server.address],
      numbers(10).map((i) => `full${i}.example.com`),
    );
    await at.start();
    // of 2^18 addresses each
    assert.equal(at.networks.length, 32);
    assert.equal(
      at.networks.some((text) => text.startsWith('68.')),
      false,
    );
    assert.match(at.domains.findings()[0]?.message ?? '', /full8.*more than 8388608 IPv4 addresses/);
  });

  it('are once there when two domains name them', async () => {
    const at = scene([server.address], ['example.com', 'evil.example.com']);
    await at.start();
    assert.deepEqual(at.networks, ['198.51.100.0/24', '203.0.113.0/25']);
    at.allowDomain = ['evil.example.com'];
    at.domains.reload();
    await until('the other one has it', () => at.domains.networks[0]?.domain === 'evil.example.com');
    assert.deepEqual(at.networks, ['198.51.100.0/24']);
  });

  it('go with their domain from the configuration, and come with it', async () => {
    const at = scene([server.address], ['example.com']);
    await at.start();
    at.allowDomain = ['google.test'];
    at.domains.reload();
    await until('the others are there', () => at.domains.networks.length === 90);
    assert.deepEqual(
      at.domains.kept.map(({ domain, networks }) => `${domain} ${networks.length}`),
      ['google.test 90'],
    );
    at.allowDomain = [];
    at.domains.reload();
    await until('none is there', () => at.domains.networks.length === 0);
    assert.deepEqual(at.domains.kept, []);
  });

  it('are found again by a restart, though DNS is dead', async () => {
    const at = scene([server.address], ['google.test']);
    await at.start();
    const later = scene([`dead ${silent.address}`], ['google.test', 'example.com']);
    await later.domains.restore(at.domains.kept);
    assert.equal(later.networks.length, 90, 'before DNS is asked');
    await later.start(at.domains.kept);
    assert.equal(later.networks.length, 90);
    // of the other one nothing is known: that is worth a word at once
    assert.deepEqual(
      later.domains.findings().map(({ message }) => message),
      [
        'allow-domain example.com: DNS has not answered for 0 s (TXT of example.com: ETIMEOUT): nobody is let in by it',
      ],
    );
  });

  it('are those that whoever has the last word on the table grants', async () => {
    const denies = [{ network: formatPrefix(prefix('203.0.113.0/25')), why: 'it is ours' }];
    const at = scene([server.address], ['example.com'], { denies });
    await at.start();
    assert.deepEqual(at.networks, ['198.51.100.0/24']);
    assert.deepEqual(at.grants, [['198.51.100.0/24', '203.0.113.0/25']]);
    assert.match(at.said[1] ?? '', /passed over: 203\.0\.113\.0\/25 \(it is ours\)/);
    at.allowDomain = [];
    at.domains.reload();
    await until('it is told', () => at.grants.length === 2);
    assert.deepEqual(at.grants[1], []);
  });

  it('count who was admitted by them, also when others come', async () => {
    const at = scene([server.address], ['example.com']);
    await at.start();
    const [first] = at.domains.networks;
    assert.ok(first !== undefined);
    first.admissions = 7;
    at.allowDomain = ['google.test', 'example.com'];
    at.domains.reload();
    await until('all are there', () => at.domains.networks.length === 92);
    assert.equal(at.domains.networks.find(({ network }) => network === first.network)?.admissions, 7);
  });
});
