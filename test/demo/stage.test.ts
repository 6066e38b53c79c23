import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { Stage } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { pause } from '../support/pfctl-state.js';
import { Scratch } from '../support/cli.js';
import { openStage, stageUnavailable } from '../support/stage.js';

/** Holds this process up, with all that others tell it, until a file is there. */
function holdUpUntilThereIs(path: string): void {
  const endMs = Date.now() + 180_000;
  while (!existsSync(path)) {
    if (Date.now() > endMs) throw new Error(`waited in vain for ${path}`);
    pause(5);
  }
}

describe('the stage', { skip: stageUnavailable() }, () => {
  let stage: Stage;
  before(async () => (stage = await openStage()));
  const scratch = new Scratch();
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  it('knows of every message that a sender has delivered, when it knows what the sender has seen', async () => {
    for (let i = 1; i <= 3; i++) {
      const from = `198.51.100.${i}`;
      assert.equal((await stage.send(from, WORLD.fake[0])).outcome, 'refused');
      // both the sender and the mail server have told us, when the kernel has only the rest of the connection
      const over = scratch.path(`over-${i}`);
      const isOver = `ss -Htn state time-wait src ${from} | grep -q .`;
      const script = `until ${isOver}; do sleep 0.02; done; : >'${over}'`;
      stage.world.spawn('internet', ['sh', '-c', script], { stdio: 'ignore' });
      const delivery = stage.send(from, WORLD.real[0]);
      holdUpUntilThereIs(over);
      assert.equal((await delivery).outcome, 'delivered');
      assert.equal(stage.delivered.get(from), 1, `delivery ${i}`);
    }
  });
});
