import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { loadQueueRule, StagedDaemon } from '../../src/demo/stage.js';
import type { World } from '../../src/demo/world.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { MAIL, mailUnavailable, MailWorld } from '../support/mail.js';
import { nftConf } from '../support/nft-scene.js';
import { nftUnavailable, stageUnavailable } from '../support/stage.js';

/** A way to have mxallowd between them. */
interface Way {
  readonly unavailable: string | undefined;
  /** Loads the rules. @returns options for mxallowd */
  readonly load: (world: World) => Promise<readonly string[]>;
  /** how many refusals there are at the least of a sender that sends its SYN three times */
  readonly refusals: number;
}

const scratch = new Scratch();
after(() => scratch.remove());

const WAYS: Readonly<Record<string, Way>> = {
  NFQUEUE: {
    unavailable: stageUnavailable(),
    load: async (world) => {
      await loadQueueRule(world, '--queue-num 23');
      return ['-n', '23'];
    },
    refusals: 3,
  },
  nftables: {
    unavailable: nftUnavailable(),
    load: async (world) => {
      const rules = scratch.path('rules');
      const { status, stderr } = await nftConf(world, rules, '/dev/null', ['--install', '--yes']);
      assert.equal(status, 0, stderr);
      return ['--firewall', 'nft', '--nft-rules', rules];
    },
    // a source is told once in a minute
    refusals: 1,
  },
};

for (const [way, { unavailable, load, refusals: least }] of Object.entries(WAYS)) {
  const skip = unavailable ?? mailUnavailable();
  describe(`mail from a Postfix to a domain with a fake and a real MX, with ${way}`, { skip }, () => {
    let place: MailWorld;
    let daemon: StagedDaemon;
    beforeEach(async () => {
      place = await MailWorld.create();
      daemon = StagedDaemon.start(place.world, await load(place.world), () => undefined);
      await daemon.ready();
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
        await daemon.event(({ event }) => event === 'admission');
        const decisions = daemon.events.filter(({ event }) => event === 'attempt' || event === 'admission');
        // of a SYN that was sent again before it was answered there are two
        assert.deepEqual(
          [...new Set(decisions.map(({ event, source, target }) => `${event} ${source} ${target}`))],
          [`attempt ${MAIL.source[protocols]} ${fake}`, `admission ${MAIL.source[protocols]} ${real}`],
        );
        await postfix.stop();
      });
    }

    it('is deferred when the sender goes straight to the real MX, which never answers', async () => {
      const spam = { relayhost: `[${MAIL.real}]`, smtp_connect_timeout: '4s' };
      const postfix = await place.postfix('ipv4', spam);
      const outcome = await postfix.outcome(await postfix.send('This is spam.'));
      assert.equal(outcome.status, 'deferred', outcome.line);
      assert.match(outcome.line, /Connection timed out/);
      assert.deepEqual(place.messages(), []);
      // the SYN, and what was sent again after 1 s and 3 s
      await until('they are counted', async () => {
        const from = daemon.events.length;
        daemon.signal('SIGUSR1');
        const { refusals = 0 } = await daemon.event(({ event }) => event === 'counters', from);
        return refusals >= least;
      });
      assert.ok(daemon.events.every(({ event }) => event !== 'admission'));
      await postfix.stop();
    });
  });
}
