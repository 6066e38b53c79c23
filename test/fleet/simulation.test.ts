// Nodes that share a simulated store, and everything that can go wrong.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Scene, sender, type SimulatedNode } from '../support/fleet-site.js';

const names = ['mx1', 'mx2', 'mx3'];

function equal(scene: Scene): void {
  const [first, ...others] = scene.nodes.filter(({ isUp }) => isUp);
  const certain = (node: SimulatedNode): string[] => node.live.filter((text) => scene.isCertain(text));
  if (first === undefined) return;
  for (const other of others)
    assert.deepEqual(certain(other), certain(first), `${other.name}, ${first.name}`);
}

it('an attempt at one node lets in at the others', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.attempt(0, sender(1));
  await scene.pass(200);
  for (const node of scene.nodes) assert.deepEqual(node.live, [sender(1)]);
});

it('what is forgotten at one node is gone at all, and another attempt brings it back', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.attempt(0, sender(1));
  await scene.pass(500);
  scene.node(1).forget(sender(1));
  await scene.pass(500);
  for (const node of scene.nodes) assert.deepEqual(node.live, []);
  scene.attempt(2, sender(1));
  await scene.pass(500);
  for (const node of scene.nodes) assert.deepEqual(node.live, [sender(1)]);
});

it('a forget while a node is cut off is not undone by what that node has seen before, nor by what it admits', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.attempt(0, sender(1));
  await scene.pass(1000);
  scene.node(2).disconnect();
  scene.node(0).forget(sender(1));
  await scene.pass(1000);
  scene.admit(2, sender(1));
  scene.node(2).connect();
  await scene.pass(5000);
  for (const node of scene.nodes) assert.deepEqual(node.live, []);
});

it('of two nodes of one name the last one tells, the other one reads only, and tells again when that one has gone', async () => {
  const scene = new Scene(['mx1', 'mx2', 'mx1']);
  const [first, , second] = scene.nodes;
  second?.disconnect();
  await scene.pass(3000);
  second?.connect();
  await scene.pass(5000);
  assert.deepEqual(
    scene.nodes.map(({ isMuted }) => isMuted),
    [true, false, false],
  );
  scene.attempt(1, sender(1));
  await scene.pass(1000);
  assert.deepEqual(first?.live, [sender(1)]);
  second?.crash();
  await scene.pass(40_000);
  assert.equal(first?.isMuted, false);
  scene.attempt(0, sender(2));
  await scene.pass(3000);
  assert.deepEqual(scene.node(1).live, [sender(1), sender(2)]);
});

it('a store without memory loses nothing that is here, and gets all when it has some again', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.site.isFull = true;
  for (let n = 0; n < 20; n++) scene.attempt(n, sender(n));
  await scene.pass(5000);
  assert.ok(scene.node(0).problems.has('out-of-memory'));
  scene.site.isFull = false;
  await scene.pass(5000);
  equal(scene);
  assert.equal(scene.node(0).live.length, 20);
});

it('a clock of the store that goes back an hour does not prolong anything, nor keep anything out', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.attempt(0, sender(1), 20_000);
  await scene.pass(1000);
  scene.site.aheadMs = -3_600_000;
  scene.attempt(1, sender(2), 20_000);
  await scene.pass(5000);
  equal(scene);
  assert.deepEqual(scene.node(2).live, [sender(1), sender(2)]);
  await scene.pass(20_000, () => assert.ok(scene.overdueMs <= 2000, `${scene.overdueMs}`));
  assert.deepEqual(scene.node(2).live, []);
});

it('a node that was away for a day tells what is still so, and needs no more memory meanwhile', async () => {
  const scene = new Scene(names);
  await scene.pass(3000);
  scene.node(0).disconnect();
  for (let n = 0; n < 200; n++) scene.attempt(0, sender(n % 20), 60_000);
  assert.equal(scene.node(0).fleet.own.untoldSize, 20);
  scene.node(0).connect();
  await scene.pass(3000);
  equal(scene);
});

/** What may happen. */
type Event =
  | {
      readonly kind: 'attempt' | 'admit' | 'forget';
      readonly node: number;
      readonly who: number;
      readonly lifeMs: number;
    }
  | { readonly kind: 'cut' | 'crash'; readonly node: number; readonly hasState: boolean }
  | { readonly kind: 'freeze' | 'flush' | 'fail-over' | 'full' | 'clock' };

const faults: Record<string, fc.Arbitrary<Event>> = {
  cut: fc.record({ kind: fc.constant('cut' as const), node: fc.nat(2), hasState: fc.boolean() }),
  crash: fc.record({ kind: fc.constant('crash' as const), node: fc.nat(2), hasState: fc.constant(true) }),
  'crash without a state file': fc.record({
    kind: fc.constant('crash' as const),
    node: fc.nat(2),
    hasState: fc.constant(false),
  }),
  freeze: fc.constant({ kind: 'freeze' as const }),
  flush: fc.constant({ kind: 'flush' as const }),
  'fail-over': fc.constant({ kind: 'fail-over' as const }),
  full: fc.constant({ kind: 'full' as const }),
};

const change: fc.Arbitrary<Event> = fc.record({
  kind: fc.constantFrom('attempt' as const, 'attempt' as const, 'admit' as const, 'forget' as const),
  node: fc.nat(2),
  who: fc.nat(7),
  lifeMs: fc.integer({ min: 3000, max: 30_000 }),
});

const anything = fc.oneof(...Object.values(faults), fc.constant({ kind: 'clock' as const }));

/** Does it, and ends it when it is something that goes on. */
function happen(scene: Scene, event: Event, later: Later, { forgotten, tried }: Senders): void {
  const nowMs = scene.clock.monotonicMs();
  switch (event.kind) {
    case 'attempt':
      scene.attempt(event.node, sender(event.who), event.lifeMs);
      forgotten.delete(event.who);
      tried.set(event.who, nowMs);
      return;
    case 'admit':
      scene.admit(event.node, sender(event.who));
      return;
    case 'forget': {
      const node = scene.node(event.node);
      if (!node.isUp) return;
      node.forget(sender(event.who));
      // what comes within milliseconds of each other on different machines has no order
      if (nowMs - (tried.get(event.who) ?? 0) > 50) forgotten.add(event.who);
      return;
    }
    case 'cut': {
      const node = scene.node(event.node);
      if (!node.isUp || node.isCut) return;
      node.isCut = true;
      node.disconnect();
      later(4000, () => {
        node.isCut = false;
        if (node.isUp) node.connect();
      });
      return;
    }
    case 'crash': {
      const node = scene.node(event.node);
      if (!node.isUp) return;
      node.crash();
      later(2000, () => node.restart(event.hasState));
      return;
    }
    case 'freeze':
      if (scene.site.isFrozen) return;
      scene.site.isFrozen = true;
      // each gives up after a while, and comes back when it is answered
      for (const node of scene.nodes) later(3000, () => node.isUp && node.disconnect());
      later(5000, () => {
        scene.site.thaw();
        for (const node of scene.nodes) if (node.isUp && !node.isCut) node.connect();
      });
      return;
    case 'flush':
      scene.site.flush();
      return;
    case 'fail-over': {
      const before = scene.site.copy();
      later(1500, () => {
        const up = scene.nodes.filter(({ isUp, isCut }) => isUp && !isCut);
        for (const node of up) node.disconnect();
        scene.site.restore(before);
        for (const node of up) node.connect();
      });
      return;
    }
    case 'full':
      scene.site.isFull = true;
      later(3000, () => (scene.site.isFull = false));
      return;
    case 'clock':
      scene.site.aheadMs -= 3_600_000;
  }
}

type Later = (ms: number, end: () => void) => void;

/** Who was forgotten, and who has tried when. */
interface Senders {
  readonly forgotten: Set<number>;
  readonly tried: Map<number, number>;
}

/** @param isLossless - whether all that is true must be known in the end, too */
async function run(
  events: readonly (readonly [number, Event])[],
  seed: number,
  isLossless: boolean,
  mostOverMs: number,
): Promise<void> {
  let random = seed;
  const scene = new Scene(names, () => (random = (random * 16_807) % 2_147_483_647) % 30);
  const ends: { atMs: number; readonly end: () => void }[] = [];
  const senders: Senders = { forgotten: new Set(), tried: new Map() };
  const each = (): void => {
    const nowMs = scene.clock.monotonicMs();
    for (const one of ends.filter(({ atMs }) => atMs <= nowMs)) {
      ends.splice(ends.indexOf(one), 1);
      one.end();
    }
    assert.ok(scene.overdueMs <= mostOverMs, `an entry is over for ${scene.overdueMs} ms`);
  };
  await scene.pass(3000);
  for (const [waitMs, event] of events) {
    await scene.pass(waitMs, each);
    happen(scene, event, (ms, end) => ends.push({ atMs: scene.clock.monotonicMs() + ms, end }), senders);
  }
  while (ends.length > 0) await scene.pass(100, each);
  await scene.pass(5000, each);
  equal(scene);
  if (!isLossless) return;
  const nowMs = scene.clock.monotonicMs();
  for (const who of senders.forgotten)
    assert.ok(!scene.node(0).live.includes(sender(who)), `${who} was forgotten`);
  for (const [text, endMs] of scene.endsMs) {
    const wasForgotten = events.some(([, one]) => one.kind === 'forget' && sender(one.who) === text);
    if (endMs > nowMs + 2000 && !wasForgotten)
      assert.ok(scene.node(0).live.includes(text), `${text} is lost`);
  }
}

for (const [name, fault] of Object.entries(faults)) {
  it(`${name}, at random: all are equal afterwards, nothing lives on, nothing that was forgotten comes back`, () =>
    checkAtRandom(fault, name !== 'crash without a state file'));
}

// a node that begins while the store is frozen: what is first heard of it is as old as that has lasted
it('all of it at random: all are equal afterwards, and nothing lives on', () =>
  checkAtRandom(anything, false, 6000));

async function checkAtRandom(
  fault: fc.Arbitrary<Event>,
  isLossless: boolean,
  mostOverMs = 2000,
): Promise<void> {
  const event = fc.oneof({ weight: 8, arbitrary: change }, { weight: 1, arbitrary: fault });
  const events = fc.array(fc.tuple(fc.integer({ min: 0, max: 1500 }), event), {
    minLength: 5,
    maxLength: 25,
  });
  const property = fc.asyncProperty(events, fc.integer({ min: 1, max: 1e6 }), (all, seed) =>
    run(all, seed, isLossless, mostOverMs),
  );
  await fc.assert(property, { numRuns: Number(process.env['RUNS'] ?? 15) });
}
