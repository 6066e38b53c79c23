/** A real Redis for tests, and nodes that share it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { systemClock } from '../../src/clock.js';
import { fleetUrl, type FleetUrl } from '../../src/config/fleet-url.js';
import { Fleet, type FleetLimits } from '../../src/fleet/fleet.js';
import { loadRedis, type RedisPlace, RedisStore } from '../../src/fleet/redis.js';
import type { StoreProblem } from '../../src/fleet/store.js';
import type { PrefixText } from '../../src/packet/address.js';
import { until } from './daemon.js';
import { LIFE_MS, Model } from './fleet-site.js';

/** @returns why there can be no {@link RedisServer} here, if so */
export function redisUnavailable(): string | undefined {
  const { status } = spawnSync('sh', ['-c', 'command -v redis-server && command -v openssl']);
  return status === 0 ? undefined : 'redis-server not found (package redis-server)';
}

/** A port that nobody has at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A redis-server of the test's own, at a port of the loopback interface and at a socket. */
export class RedisServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'mxallowd-redis-'));
  readonly socket = join(this.folder, 'redis.sock');
  port = 0;
  private child: ChildProcess | undefined;
  private admin: Redis | undefined;

  /** @param lines - of its configuration, beside what a test needs */
  constructor(private readonly lines: readonly string[] = []) {}

  /** @param port - undefined: any, the same one when it is started again */
  async start(port?: number): Promise<this> {
    if (this.port === 0) this.port = port ?? (await freePort());
    const isTls = this.lines.some((line) => line.startsWith('tls-port'));
    const lines = [
      ...(isTls ? ['port 0'] : [`port ${this.port}`]),
      ...['bind 127.0.0.1', 'save ""', 'appendonly no', 'daemonize no', `dir ${this.folder}`],
      ...[`unixsocket ${this.socket}`, 'unixsocketperm 700', 'enable-debug-command yes'],
      ...this.lines.map((line) => line.replace('PORT', String(this.port))),
    ];
    const file = join(this.folder, 'redis.conf');
    writeFileSync(file, `${lines.join('\n')}\n`);
    this.child = spawn('redis-server', [file], { stdio: 'ignore' });
    await until('redis-server answers', () => this.tell('PING') === 'PONG');
    return this;
  }

  get url(): FleetUrl {
    return urlOf(`redis://127.0.0.1:${this.port}`);
  }

  /** Has redis-cli ask it, as the default user. */
  tell(...words: string[]): string {
    const password = this.lines.find((line) => line.startsWith('requirepass '))?.split(' ')[1];
    const env = { ...process.env, ...(password !== undefined && { REDISCLI_AUTH: password }) };
    const { stdout } = spawnSync('redis-cli', ['-s', this.socket, ...words], { encoding: 'utf8', env });
    return stdout.trim();
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** Ends it at once; nothing of what it had is kept. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await ended;
    this.child = undefined;
  }

  async close(): Promise<void> {
    this.admin?.disconnect();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A checked fleet-url. */
export function urlOf(text: string): FleetUrl {
  const checked = fleetUrl(text);
  if (!checked.ok) throw new Error(checked.expected);
  return checked.value;
}

/** A certificate for 127.0.0.1 that nobody has signed but itself, with its key. */
export function makeCertificate(folder: string): { readonly certificate: string; readonly key: string } {
  const [certificate, key] = [join(folder, 'store.crt'), join(folder, 'store.key')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=store'];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate];
  execFileSync('openssl', [...request, ...names], { stdio: 'ignore' });
  return { certificate, key };
}

/** A node with a whitelist that has nothing but what the fleet asks of it. */
export class RealNode {
  readonly model = new Model();
  readonly problems: StoreProblem[] = [];
  isLinked = false;
  isMuted = false;
  problem: StoreProblem | undefined;

  private constructor(
    readonly fleet: Fleet,
    readonly store: RedisStore,
  ) {}

  static async start(
    place: Partial<RedisPlace> & Pick<RedisPlace, 'url' | 'node'>,
    limits: Partial<FleetLimits> = {},
  ): Promise<RealNode> {
    const Client = await loadRedis();
    if (Client === undefined) throw new Error('ioredis is missing');
    const all = { site: 'test', password: undefined, ca: undefined, ...place };
    const store: RedisStore = new RedisStore(
      Client,
      all,
      systemClock,
      (isLinked) => {
        node.isLinked = isLinked;
        node.fleet.link(isLinked);
      },
      (error) => node.note(error.problem),
    );
    const model = new Model();
    const fleet = new Fleet({
      store,
      clock: systemClock,
      version: '3.0.0',
      nonce: `x${Math.random().toString(36).slice(2, 10)}`,
      limits: () => ({ share: 100_000, lifeMs: LIFE_MS, isManualTaken: true, ...limits }),
      whitelist: model,
      outcome: (_, error) => node.note(error?.problem),
      muted: (isMuted) => (node.isMuted = isMuted),
    });
    const node: RealNode = new RealNode(fleet, store);
    Object.assign(node, { model });
    store.open();
    return node;
  }

  private note(problem: StoreProblem | undefined): void {
    this.problem = problem;
    if (problem !== undefined && this.problems.at(-1) !== problem) this.problems.push(problem);
  }

  attempt(text: PrefixText): void {
    const untilMs = systemClock.monotonicMs() + LIFE_MS;
    this.model.at(text).ownMs = untilMs;
    const facts = { untilMs, lifeMs: LIFE_MS, isKnown: false, isManual: false };
    this.fleet.attempt(text, { ...facts, source: undefined, name: undefined });
  }

  forget(text: PrefixText): void {
    this.model.entries.delete(text);
    this.fleet.forget(text);
  }

  get live(): PrefixText[] {
    const nowMs = systemClock.monotonicMs();
    const entries = [...this.model.entries];
    return entries
      .flatMap(([text, { ownMs, vouchedMs }]) => (Math.max(ownMs, vouchedMs) > nowMs ? [text] : []))
      .sort();
  }

  has(text: PrefixText): boolean {
    return this.live.includes(text);
  }

  close(): void {
    this.fleet.close();
    this.store.close();
  }
}
