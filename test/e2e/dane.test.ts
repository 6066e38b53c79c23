import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WORLD } from '../../src/demo/world.js';
import { until } from '../support/daemon.js';
import { askCommand, dnsUnavailable } from '../support/dns.js';
import { dnssecUnavailable, signZone, writeResolver } from '../support/dnssec.js';
import { mailUnavailable, MailWorld } from '../support/mail.js';
import { stageUnavailable } from '../support/stage.js';

const TLSA = 'TLSA 3 1 1 0707070707070707070707070707070707070707070707070707070707070707';
const HOSTS = `
@ MX 10 fake
@ MX 20 real
fake A ${WORLD.fake[0]}
real A ${WORLD.real[0]}
_25._tcp.real ${TLSA}`;
const RECORDS = {
  'half.test': HOSTS,
  'lame.test': `${HOSTS}\n_tcp.fake NS ns.nowhere.invalid.`,
  'both.test': `${HOSTS}\n_25._tcp.fake CNAME _25._tcp.real`,
};

const unavailable = stageUnavailable() ?? mailUnavailable() ?? dnsUnavailable() ?? dnssecUnavailable();

/** What check says about TLSA records, from the side of a real sender. The real MX here has no TLS, so it gets nothing. */
describe('a Postfix that asks for TLSA records', { skip: unavailable }, () => {
  let place: MailWorld;
  before(async () => {
    const signed = Object.entries(RECORDS).map(([zone, records]) => [zone, signZone(zone, records)] as const);
    const zones = Object.fromEntries(signed.map(([zone, { text }]) => [zone, text]));
    place = await MailWorld.create(zones);
    const folder = join(place.folder, 'unbound');
    mkdirSync(folder);
    const anchors = signed.map(([, { ds }]) => ds);
    const config = writeResolver(folder, '127.0.0.1@53', WORLD.other, zones, anchors);
    place.world.spawn('internet', ['unbound', '-d', '-c', config], { stdio: 'ignore' });
    // MailWorld has mounted it
    const file = join(place.folder, 'resolv.conf');
    writeFileSync(file, 'nameserver 127.0.0.1\noptions trust-ad timeout:20 attempts:3\n');
    await until('the resolver answers', async () => {
      const { status } = await place.world.run('internet', askCommand('127.0.0.1', 'fake.both.test'));
      return status === 0;
    });
  });
  after(() => place.dispose());

  /** Whether it tries the fake MX of each domain before it comes to the real one. */
  async function triesFake(level: string): Promise<Record<string, boolean>> {
    const postfix = await place.postfix('ipv4', {
      smtp_tls_security_level: level,
      smtp_dns_support_level: 'dnssec',
    });
    const tries: Record<string, boolean> = {};
    for (const domain of Object.keys(RECORDS)) {
      const id = await postfix.send('Hello.', `somebody@${domain}`);
      const { relay, line } = await postfix.outcome(id);
      assert.equal(relay, `real.${domain}[${WORLD.real[0]}]:25`);
      assert.match(line, / status=deferred \(TLS is required, but was not offered by host real\./);
      tries[domain] = postfix
        .failedConnections()
        .includes(`fake.${domain}[${WORLD.fake[0]}]:25: Connection refused`);
    }
    await postfix.stop();
    return tries;
  }

  it('skips a fake MX about whose TLSA records nobody answers', async () => {
    assert.deepEqual(await triesFake('dane'), { 'half.test': true, 'lame.test': false, 'both.test': true });
  });

  it('skips one that has none, too, when it insists on them, and not one that has an alias, as check advises', async () => {
    assert.deepEqual(await triesFake('dane-only'), {
      'half.test': false,
      'lame.test': false,
      'both.test': true,
    });
  });
});
