// Gateways, and the Redis that they share, killed and cut at random: afterwards all are equal, and nothing lives on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PrefixText } from '../../src/packet/address.js';
import { until } from '../support/daemon.js';
import { sender } from '../support/fleet-site.js';
import { RealNode, RedisServer, redisUnavailable } from '../support/redis.js';

const KILLS = Number(process.env['MXALLOWD_KILLS'] ?? 20);

/** Numbers from 0 to 1, the same each time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

describe('gateways and their Redis, killed at random', { skip: redisUnavailable() }, () => {
  let server: RedisServer;
  const nodes = new Map<string, RealNode>();
  /** what must be let in, and what must not */
  const wanted = new Set<PrefixText>();
  const gone = new Set<PrefixText>();

  before(async () => {
    server = await new RedisServer().start();
    for (const name of ['mx1', 'mx2', 'mx3']) nodes.set(name, await start(name));
  });
  after(async () => {
    for (const node of nodes.values()) node.close();
    await server.close();
  });

  function start(name: string): Promise<RealNode> {
    return RealNode.start({ url: server.url, node: name });
  }

  function any(random: () => number): RealNode {
    const all = [...nodes.values()];
    return all[Math.floor(random() * all.length)] ?? assert.fail();
  }

  async function equal(what: string): Promise<void> {
    const text = [...wanted].sort().join();
    await until(`all are equal after ${what}`, () =>
      [...nodes.values()].every(({ live }) => live.join() === text),
    );
  }

  it(`${KILLS} times`, async () => {
    const random = randomFrom(7);
    let last = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      for (let n = 0; n < 5; n++) {
        const who = sender(++last % 4000);
        any(random).attempt(who);
        wanted.add(who);
        gone.delete(who);
      }
      // all must have seen it, or a node that is killed takes with it what nobody else knows
      await equal(`attempts before kill ${kill}`);
      const [victim = assert.fail()] = [...wanted].slice(Math.floor(random() * wanted.size));
      any(random).forget(victim);
      wanted.delete(victim);
      gone.add(victim);
      const turn = Math.floor(random() * 4);
      if (turn === 0) {
        await server.kill();
        await server.start();
      } else if (turn === 1) server.tell('FLUSHALL');
      else if (turn === 2) {
        await equal(`a forget before kill ${kill}`);
        const names = [...nodes.keys()];
        const name = names[Math.floor(random() * names.length)] ?? '';
        nodes.get(name)?.close();
        // without a state file: it has what the store and the others have
        nodes.set(name, await start(name));
      } else server.tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await equal(`kill ${kill}, way ${turn}`);
      for (const node of nodes.values()) for (const text of gone) assert.ok(!node.has(text), text);
    }
  });
});
