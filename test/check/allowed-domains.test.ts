import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { allowedDomainsProbe } from '../../src/check/allowed-domains.js';
import { checkContext } from '../support/check-context.js';
import { dnsUnavailable, NameServer } from '../support/dns.js';
import { GOOGLE_ZONE } from '../support/spf-zones.js';

const ZONES = {
  'google.test': GOOGLE_ZONE,
  'example.com': `
@ TXT "v=spf1 ip4:198.51.100.0/24 ip4:10.0.0.0/8 ip4:192.0.2.0/24 +all"
none A 198.51.100.1
half TXT "v=spf1 ip4:198.51.100.0/24 include:spf.refused.test -all"`,
};

describe('check, of allow-domain', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => (server = await NameServer.start(ZONES)));
  after(() => server.dispose());
  const findings = async (domain: string): Promise<string[]> => {
    const context = checkContext({ allowDomain: domain, dnsServer: server.address });
    assert.equal(allowedDomainsProbe.applies?.(context), true);
    const found = await allowedDomainsProbe.run(context);
    return found.map(({ severity, id, message }) => `${severity} ${id}: ${message}`);
  };

  it('says how many networks a domain has', async () => {
    assert.deepEqual(await findings('google.test'), [
      'ok allow-domain: allow-domain google.test: 90 networks are let in',
    ]);
  });

  it('warns of what is passed over, our own addresses too', async () => {
    assert.deepEqual(await findings('example.com'), [
      'warning allow-domain-passed-over: allow-domain example.com: passed over: "+all" of example.com names everybody, ' +
        '10.0.0.0/8 (it is private, or has such addresses), 192.0.2.0/24 (it has addresses of our MX 192.0.2.3)',
    ]);
  });

  it('warns of a name without a record', async () => {
    const [only = '', ...others] = await findings('none.example.com');
    assert.deepEqual(others, []);
    assert.match(
      only,
      /^warning allow-domain-none: allow-domain none\.example\.com: .*: nobody is let in by it$/,
    );
  });

  it('warns of what DNS does not answer', async () => {
    const [only = '', ...others] = await findings('half.example.com');
    assert.deepEqual(others, []);
    assert.match(
      only,
      /^warning allow-domain-unanswered: .*\(TXT of spf\.refused\.test: EREFUSED\); without that, 1 network is let in$/,
    );
  });

  it('is left out when none is allowed', () => {
    assert.equal(allowedDomainsProbe.applies?.(checkContext({})), false);
  });
});
