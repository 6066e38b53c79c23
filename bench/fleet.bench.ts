// Gateways that share a Redis: how long an attempt at one takes to be an entry at another, what more gateways and more
// attempts cost the store and a gateway, and how long a newcomer needs to read a million entries.
import { spawnSync } from 'node:child_process';
import { systemClock } from '../src/clock.js';
import { writeHead } from '../src/fleet/head.js';
import { addressOfWords, formatPrefix, type PrefixText } from '../src/packet/address.js';
import { until } from '../test/support/daemon.js';
import { RealNode, RedisServer } from '../test/support/redis.js';
import { machine, quantile, verdict } from './support.js';

const TARGETS = { medianMs: 10, p99Ms: 50, readMs: 30_000, frozen: 1.1 };
const ATTEMPTS = 2000;
const SECONDS = 5;
const NODES = 50;
const ENTRIES_OF_A_NODE = 20_000;

let last = 0;

function next(): PrefixText {
  return formatPrefix({ address: addressOfWords(4, 0x0a000000 + ++last, 0, 0, 0), length: 32 });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A figure of redis-server's INFO. */
function info(server: RedisServer, name: string): number {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(server.tell('INFO'))?.[1] ?? NaN);
}

async function startAll(server: RedisServer, count: number): Promise<RealNode[]> {
  const all: RealNode[] = [];
  for (let n = 0; n < count; n++) {
    all.push(await RealNode.start({ url: server.url, node: `mx${n}` }, { share: 1_000_000 }));
  }
  await until('all are there', () =>
    all.every(({ fleet, isLinked }) => isLinked && fleet.reader.peers.size === count - 1),
  );
  await until('all are read', () =>
    all.every(({ fleet }) => [...fleet.reader.peers.values()].every(({ state }) => state === 'following')),
  );
  return all;
}

async function latency(server: RedisServer): Promise<void> {
  const [here, there] = await startAll(server, 2);
  if (here === undefined || there === undefined) return;
  const tookMs: number[] = [];
  const begun = new Map<PrefixText, number>();
  const raise = there.model.raise.bind(there.model);
  there.model.raise = (prefix, text, voucher) => {
    raise(prefix, text, voucher);
    const startMs = begun.get(text);
    if (startMs !== undefined) tookMs.push(performance.now() - startMs);
  };
  for (let n = 0; n < ATTEMPTS; n++) {
    const text = next();
    begun.set(text, performance.now());
    here.attempt(text);
    await sleep(2);
  }
  await until('all are there', () => tookMs.length >= ATTEMPTS);
  tookMs.sort((a, b) => a - b);
  const [median = NaN, p99 = NaN, most = NaN] = [0.5, 0.99, 1].map((part) => quantile(tookMs, part));
  console.log(
    `attempt to entry elsewhere: median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${most.toFixed(1)} ms`,
  );
  const isReached = median <= TARGETS.medianMs && p99 <= TARGETS.p99Ms;
  console.log(`  target ${TARGETS.medianMs} and ${TARGETS.p99Ms} ms: ${verdict(isReached)}`);
  for (const node of [here, there]) node.close();
}

/** All gateways are in this process, so its time is divided by their number. */
async function load(server: RedisServer, count: number, perSecond: number): Promise<void> {
  server.tell('FLUSHALL');
  const nodes = await startAll(server, count);
  await sleep(1000);
  const names = [
    'total_commands_processed',
    'total_net_input_bytes',
    'total_net_output_bytes',
    'used_cpu_user',
    'used_cpu_sys',
  ];
  const before = names.map((name) => info(server, name));
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (let n = 0; n < perSecond * SECONDS; n++) {
    const dueMs = startMs + (n * 1000) / perSecond;
    if (dueMs > performance.now()) await sleep(dueMs - performance.now());
    nodes[n % count]?.attempt(next());
  }
  const seconds = (performance.now() - startMs) / 1000;
  const used = process.cpuUsage(cpu);
  const [commands = 0, input = 0, output = 0, user = 0, system = 0] = names.map(
    (name, at) => (info(server, name) - (before[at] ?? 0)) / seconds,
  );
  const written = nodes.reduce((sum, { fleet }) => sum + fleet.writer.messages, 0);
  const own = (used.user + used.system) / 10_000 / seconds / count;
  console.log(
    `${String(count).padStart(2)} gateways, ${String(perSecond).padStart(4)} attempts/s: ` +
      `${commands.toFixed(0)} commands/s, ${(input / 1000).toFixed(0)} kB/s in, ${(output / 1000).toFixed(0)} kB/s out, ` +
      `store ${((user + system) * 100).toFixed(1)} % of a CPU, gateway ${own.toFixed(1)} %, ${written} messages`,
  );
  for (const node of nodes) node.close();
}

async function newcomer(server: RedisServer): Promise<void> {
  server.tell('FLUSHALL');
  const endMs = systemClock.wallMs() + 500_000;
  for (let n = 0; n < NODES; n++) {
    const epoch = { stamp: systemClock.wallMs(), nonce: `n${n}` };
    const head = writeHead({
      epoch,
      n: 1,
      ownMs: systemClock.wallMs(),
      isReady: true,
      version: '3.0.0',
      count: ENTRIES_OF_A_NODE,
    });
    const lines = [`HSET mx:test:node:o${n} ${Object.entries(head).flat().join(' ')}`];
    for (let e = 0; e < ENTRIES_OF_A_NODE; e++)
      lines.push(`HSET mx:test:now:o${n} ${next()} "${epoch.stamp} ${endMs} k"`);
    spawnSync('redis-cli', ['-s', server.socket], {
      input: lines.join('\n'),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  }
  const memory = info(server, 'used_memory');
  globalThis.gc?.();
  const rss = process.memoryUsage().heapUsed;
  const startMs = performance.now();
  const node = await RealNode.start({ url: server.url, node: 'new' }, { share: 1_000_000 });
  await until(
    'all is read',
    () => node.fleet.merged.size === NODES * ENTRIES_OF_A_NODE && node.model.hasSynced,
  );
  const tookMs = performance.now() - startMs;
  globalThis.gc?.();
  const heap = (process.memoryUsage().heapUsed - rss) / 1e6;
  console.log(
    `a newcomer reads ${NODES} gateways of ${ENTRIES_OF_A_NODE} entries: ${(tookMs / 1000).toFixed(1)} s; ` +
      `${heap.toFixed(0)} MB there (without the entries of its table), ${(memory / 1e6).toFixed(0)} MB in the store`,
  );
  console.log(`  target ${TARGETS.readMs / 1000} s: ${verdict(tookMs <= TARGETS.readMs)}`);
  node.close();
}

/** What an attempt costs who decides, in microseconds: nothing of it waits for the store. */
async function cost(node: RealNode): Promise<number> {
  let spentMs = 0;
  for (let round = 0; round < 200; round++) {
    const texts = Array.from({ length: 100 }, next);
    const startMs = performance.now();
    for (const text of texts) node.attempt(text);
    spentMs += performance.now() - startMs;
    await sleep(1);
  }
  return (spentMs * 1000) / 20_000;
}

async function frozen(server: RedisServer): Promise<void> {
  server.tell('FLUSHALL');
  const [node] = await startAll(server, 1);
  if (node === undefined) return;
  await cost(node);
  const connected = await cost(node);
  server.signal('SIGSTOP');
  const away = await cost(node);
  server.signal('SIGCONT');
  const ratio = away / connected;
  console.log(
    `an attempt costs ${connected.toFixed(1)} us, with the store frozen ${away.toFixed(1)} us (${ratio.toFixed(2)} times)`,
  );
  console.log(`  target ${TARGETS.frozen} times: ${verdict(ratio <= TARGETS.frozen)}`);
  node.close();
}

/** 20,000 known senders, each told anew each day. */
async function month(server: RedisServer): Promise<void> {
  server.tell('FLUSHALL');
  const [node] = await startAll(server, 1);
  if (node === undefined) return;
  const all = Array.from({ length: ENTRIES_OF_A_NODE }, next);
  const used: string[] = [];
  for (let day = 1; day <= 30; day++) {
    for (const text of all) node.attempt(text);
    node.fleet.own.tellAll();
    node.fleet.writer.poke();
    await until('all is told', () => node.fleet.own.untoldSize === 0);
    if ([1, 2, 10, 30].includes(day))
      used.push(`day ${day}: ${(info(server, 'used_memory') / 1e6).toFixed(1)} MB`);
  }
  console.log(
    `the store with ${ENTRIES_OF_A_NODE} senders of a gateway, all told anew each day: ${used.join(', ')}`,
  );
  node.close();
}

console.log(machine());
const server = await new RedisServer().start();
await latency(server);
for (const count of [2, 10, 50])
  for (const perSecond of [10, 100, 1000]) await load(server, count, perSecond);
await newcomer(server);
await frozen(server);
await month(server);
await server.close();
