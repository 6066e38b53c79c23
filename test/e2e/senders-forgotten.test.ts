import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EXIM } from '../support/sender-kinds.js';
import { type Letter, sceneUnavailable, SenderScene, type Writer } from '../support/sender-scene.js';

/** As in senders.test.ts, where nobody is held up. */
const HOUR_SECONDS = 4;
const GAPS = [1 / 3];
/** Exim leaves the fake MX alone for more than an hour long before. */
const MOST_HOURS = 36;

const WRITER: Writer = { kind: EXIM, names: ['exim.example.net'], addresses: ['198.51.100.10'] };

describe(
  'an Exim that writes every twenty minutes, when who has delivered is not remembered',
  {
    skip: sceneUnavailable([EXIM]),
  },
  () => {
    let scene: SenderScene;

    before(async () => {
      const times = ['--whitelist-time', String(HOUR_SECONDS), '--known-time', '0'];
      scene = await SenderScene.create([WRITER], HOUR_SECONDS, times);
    });
    after(() => scene.dispose());

    it('is held up, for it goes straight to the real MX while it remembers that the fake one refused', async () => {
      const [exim] = scene.senders;
      assert.ok(exim !== undefined);
      await scene.writeFirst(exim);
      const from = scene.daemon.events.length;
      const isRefused = (): boolean => scene.refused(from).size > 0;
      const goesOn = (hour: number): boolean => !isRefused() && hour < MOST_HOURS;
      const letters: Letter[] = [];
      for await (const letter of scene.writeRegularly(exim, GAPS, goesOn)) letters.push(letter);
      assert.deepEqual([...scene.refused(from)], WRITER.addresses, exim[1].log());
      const [last] = letters.filter(({ fate }) => fate !== 'delivered');
      assert.ok(last !== undefined, 'it waits for an answer that does not come');
    });
  },
);
