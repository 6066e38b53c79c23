import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { MAIL, mailUnavailable, MailWorld } from '../support/mail.js';

describe('mail from a Postfix to a domain with a fake and a real MX', { skip: mailUnavailable() }, () => {
  let place: MailWorld;
  beforeEach(async () => {
    place = await MailWorld.create();
    // place.world has the host mx: here its packet filter gets its rules, and the daemon is started
  });
  afterEach(() => place.dispose());

  const cases = [
    { protocols: 'ipv4', fake: '192.0.2.3', real: '192.0.2.4' },
    { protocols: 'ipv6', fake: '2001:db8::3', real: '2001:db8::4' },
  ] as const;
  for (const { protocols, fake, real } of cases) {
    it(`arrives by ${protocols}: the fake MX refuses, the real one takes it`, async (t: TestContext) => {
      const postfix = await place.postfix(protocols);
      const id = await postfix.send('This is the body.');
      const outcome = await postfix.outcome(id);
      t.diagnostic(`delay ${outcome.delay} s, of it for connections ${outcome.delays[2]} s`);

      assert.equal(outcome.status, 'sent', outcome.line);
      assert.equal(outcome.relay, `${MAIL.real}[${real}]:25`);
      assert.deepEqual(postfix.failedConnections(), [`${MAIL.fake}[${fake}]:25: Connection refused`]);
      const [message, ...others] = place.messages();
      assert.equal(others.length, 0);
      assert.equal(message?.client, MAIL.source[protocols]);
      assert.match(message.text, /^This is the body\.$/m);
      await postfix.stop();
    });
  }
});
