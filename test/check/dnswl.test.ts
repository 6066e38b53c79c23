import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { dnswlProbe } from '../../src/check/dnswl.js';
import { checkContext } from '../support/check-context.js';
import { dnsUnavailable, NameServer, SlowServer } from '../support/dns.js';

describe('the probe of a DNS allow list', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  before(async () => {
    server = await NameServer.start({
      'good.test.org': '2.0.0.127 A 127.0.10.0',
      'empty.test.org': '7.100.51.198 A 127.0.10.2',
      'block.test.org': '2.0.0.127 A 127.0.0.2',
      'limit.test.org': '* A 127.0.0.255',
      'all.test.org': '* A 127.0.10.3',
    });
  });
  after(() => server.dispose());

  const probe = async (zone: string, dnsServer = server.address): Promise<string[]> => {
    const context = checkContext({ dnswl: zone, dnsServer, dnsTimeout: '30' });
    return (await dnswlProbe.run(context)).map(
      ({ severity, id, message }) => `${severity} ${id}: ${message}`,
    );
  };

  it('is there only where one is asked', () => {
    assert.equal(dnswlProbe.applies?.(checkContext({})), false);
    assert.equal(dnswlProbe.applies?.(checkContext({ dnswl: 'good.test.org' })), true);
  });

  const nobody = 'nobody is let in by it';
  for (const [zone, found] of [
    ['good', 'ok dnswl: dnswl good.test.org: answers as an allow list does'],
    [
      'empty',
      'note dnswl-empty: dnswl empty.test.org: does not have 127.0.0.2, which each list has for tests: is that its name?',
    ],
    [
      'block',
      `warning dnswl-wrong: dnswl block.test.org: it answers 127.0.0.2 about 127.0.0.2: no allow list has such an answer; ${nobody}`,
    ],
    [
      'limit',
      `warning dnswl-wrong: dnswl limit.test.org: it answers 127.0.0.255 about 127.0.0.1: too much was asked of it; ${nobody}`,
    ],
    [
      'all',
      `warning dnswl-wrong: dnswl all.test.org: it lists 127.0.0.1, so perhaps everybody: a resolver rewrites answers, or too much was asked; ${nobody}`,
    ],
  ] as const) {
    it(`tells a list that is ${zone}`, async () =>
      assert.deepEqual(await probe(`${zone}.test.org`), [found]));
  }

  it('tells when DNS does not answer', async (t) => {
    const broken = await SlowServer.start({ reply: () => 'servfail' });
    t.after(() => broken.dispose());
    assert.deepEqual(await probe('good.test.org', broken.address), [
      'warning dnswl-unanswered: dnswl good.test.org: DNS does not answer (ESERVFAIL), so nobody is let in by it',
    ]);
  });
});
