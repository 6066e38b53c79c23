import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Stage } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { openStage, stageUnavailable } from '../support/stage.js';

/** Much longer than a delivery takes. */
const HELD_UP_MS = 300;

describe('the stage', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  before(async () => (stage = await openStage()));
  after(() => stage.close());

  it('knows of every message that a sender has delivered, when it knows what the sender has seen', async () => {
    for (let i = 1; i <= 3; i++) {
      const from = `198.51.100.${i}`;
      assert.equal((await stage.send(from, WORLD.fake[0])).outcome, 'refused');
      const delivery = stage.send(from, WORLD.real[0]);
      // we are held up, until both the sender and the mail server have told us
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS);
      assert.equal((await delivery).outcome, 'delivered');
      assert.equal(stage.delivered.get(from), 1, `delivery ${i}`);
    }
  });
});
