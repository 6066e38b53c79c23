/** Name servers for tests: a real one, and one that takes its time. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resolver } from 'node:dns/promises';
import { reverseName } from '../../src/names/name.js';
import { BoundedResolver, RESOLVER_DEFAULTS, type ResolverSettings } from '../../src/names/resolver.js';
import { until } from './daemon.js';
import { address } from './observations.js';

/** @returns why there can be no {@link NameServer} here, if so */
export function dnsUnavailable(): string | undefined {
  const { status } = spawnSync('sh', ['-c', 'command -v nsd']);
  return status === 0 ? undefined : 'nsd not found (package nsd)';
}

/** Records of each zone as a zone file has them, relative to the zone; SOA and NS are added where there is no SOA. */
export type Zones = Readonly<Record<string, string>>;

/** The zones of all PTR records. */
export const REVERSE_ZONES = ['in-addr.arpa', 'ip6.arpa'] as const;

/**
 * Zones for the PTR records of some addresses.
 * @param names - absolute names by the text of an address
 */
export function reverseZones(names: Iterable<readonly [address: string, ...names: string[]]>): Zones {
  const lines = [...names].flatMap(([text, ...all]) =>
    all.map((name) => `${reverseName(address(text))}. PTR ${name.replace(/\.?$/, '.')}`),
  );
  return Object.fromEntries(
    REVERSE_ZONES.map((zone) => [
      zone,
      lines.filter((line) => line.split('. PTR ', 1)[0]?.endsWith(zone)).join('\n'),
    ]),
  );
}

/** A zone that each {@link NameServer} has, by which we see that it answers. */
const READY = 'ready.invalid';
/** Somebody else may take the port that was free a moment ago. */
const TRIES = 3;

/** A real name server on 127.0.0.1. */
export class NameServer {
  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
    private readonly closed: Promise<unknown>,
    /** as `127.0.0.1:PORT` */
    readonly address: string,
  ) {}

  /** Returns when it answers. What it has no zone for, it refuses; a zone with an error in it fails. */
  static async start(zones: Zones): Promise<NameServer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await NameServer.startOnce(zones);
      } catch (error) {
        if (attempt === TRIES) throw error;
      }
    }
  }

  private static async startOnce(zones: Zones): Promise<NameServer> {
    const folder = mkdtempSync(join(tmpdir(), 'mxallowd-dns-'));
    const port = await freePort();
    const config = writeNameServer(folder, `127.0.0.1@${port}`, zones);
    const child = spawn('nsd', ['-d', '-c', config], { stdio: 'ignore' });
    let ended = false;
    const closed = new Promise<void>((resolve) => {
      const end = (): void => {
        ended = true;
        resolve();
      };
      child.once('close', end);
      child.once('error', end);
    });
    const server = new NameServer(folder, child, closed, `127.0.0.1:${port}`);
    const resolver = new Resolver({ timeout: 5000, tries: 1 });
    resolver.setServers([server.address]);
    try {
      await until('nsd answers', async () => {
        if (ended) throw new Error(`nsd has ended: ${server.log()}`);
        return resolver.resolve4(READY).then(
          () => true,
          () => false,
        );
      });
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  /** What it has logged: errors in zones, among others. */
  log(): string {
    try {
      return readFileSync(join(this.folder, 'log'), 'utf8');
    } catch {
      return '';
    }
  }

  /** A resolver that asks it. */
  resolver(settings: Partial<ResolverSettings> = {}): BoundedResolver {
    return resolverOf(this.address, settings);
  }

  async dispose(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.closed;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Writes what nsd needs into a folder.
 * @param listen - as `127.0.0.1@5353`, with commas between several
 * @returns path of its configuration
 */
export function writeNameServer(folder: string, listen: string, zones: Zones): string {
  const all = { ...zones, [READY]: '@ A 192.0.2.1' };
  const file = (zone: string): string => join(folder, `${zone}.zone`);
  for (const [zone, records] of Object.entries(all)) writeFileSync(file(zone), zoneText(zone, records));
  const config = join(folder, 'nsd.conf');
  const lines = [
    'server:',
    ...listen.split(',').map((address) => `ip-address: ${address}`),
    'username: ""',
    'server-count: 1',
    'database: ""',
    'rrl-ratelimit: 0',
    `zonesdir: ${folder}`,
    `pidfile: ${join(folder, 'pid')}`,
    `xfrdfile: ${join(folder, 'xfrd.state')}`,
    `xfrdir: ${folder}`,
    `zonelistfile: ${join(folder, 'zone.list')}`,
    `logfile: ${join(folder, 'log')}`,
    'remote-control:',
    'control-enable: no',
    ...Object.keys(all).flatMap((zone) => ['zone:', `name: "${zone}"`, `zonefile: "${file(zone)}"`]),
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  return config;
}

/**
 * A command that ends well when a name server of ours answers.
 * @param server - as `192.0.2.53`, `127.0.0.1:5353`
 * @param name - with an A record
 */
export function askCommand(server: string, name = READY): string[] {
  const program = `
    const resolver = new (require('node:dns').promises.Resolver)({ timeout: 5000, tries: 1 });
    resolver.setServers(['${server}']);
    resolver.resolve4('${name}').catch(() => (process.exitCode = 1));`;
  return [process.execPath, '-e', program];
}

/** A resolver that asks one server only. */
export function resolverOf(server: string, settings: Partial<ResolverSettings> = {}): BoundedResolver {
  return new BoundedResolver({
    ...RESOLVER_DEFAULTS,
    // c-ares shortens the first time-out where answers have come fast, and caps it: this makes a minute at the least
    timeoutMs: 5000,
    tries: 12,
    nowMs: () => performance.now(),
    ...settings,
    servers: [server],
  });
}

/** A whole zone file. */
export function zoneText(zone: string, records: string): string {
  if (/\sSOA\s/.test(records)) return records;
  return [
    `$ORIGIN ${zone}.`,
    '$TTL 300',
    '@ SOA ns.ready.invalid. postmaster.ready.invalid. 1 3600 600 86400 300',
    '@ NS ns.ready.invalid.',
    records,
    '',
  ].join('\n');
}

/** A port that nobody has on 127.0.0.1, for a moment at least. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A question that was asked of a {@link SlowServer}. */
export interface Question {
  readonly name: string;
  readonly type: string;
}

/** What a {@link SlowServer} says: that there is no such name, that it failed, nothing at all, or these records. */
export type Reply =
  | 'nxdomain'
  | 'servfail'
  | 'never'
  /** addresses for A and AAAA, names for PTR and CNAME */
  | {
      readonly type: 'A' | 'AAAA' | 'PTR' | 'CNAME' | 'TXT';
      readonly ttl?: number;
      readonly data: readonly string[];
    };

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 };
const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TYPES).map(([name, number]) => [number, name]),
);

/** How a {@link SlowServer} answers. */
export interface SlowSettings {
  /** milliseconds, or `hold`: when the test says {@link SlowServer.release} */
  readonly delay?: number | 'hold';
  /** unless told, there is no such name */
  readonly reply?: (question: Question) => Reply;
}

/** A name server of our own, UDP only, that answers late or never, and counts what it is asked. */
export class SlowServer {
  /** all that it was asked; again before the answer is the same question, which c-ares asks from another port */
  readonly questions: Question[] = [];
  /** the most questions that were without an answer at one time */
  mostAtOnce = 0;
  /** may be changed at any time */
  reply: (question: Question) => Reply;
  private readonly held: (() => void)[] = [];
  /** who waits for an answer, by the number and the text of the question */
  private readonly askers = new Map<string, RemoteInfo>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private unanswered = 0;

  private constructor(
    private readonly socket: Socket,
    private delay: number | 'hold',
    reply: ((question: Question) => Reply) | undefined,
  ) {
    this.reply = reply ?? (() => 'nxdomain');
    socket.on('message', (message, from) => this.take(message, from));
  }

  static async start({ delay = 0, reply }: SlowSettings = {}): Promise<SlowServer> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new SlowServer(socket, delay, reply);
  }

  /** as `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  /** How many questions it was asked. */
  get queries(): number {
    return this.questions.length;
  }

  /** How many answers are held back. */
  get holding(): number {
    return this.held.length;
  }

  /** A resolver that asks it. */
  resolver(settings: Partial<ResolverSettings> = {}): BoundedResolver {
    return resolverOf(this.address, settings);
  }

  /** Sends the answers that are held back, and holds back no more, unless told. */
  release(andThen: number | 'hold' = 0): void {
    this.delay = andThen;
    for (const send of this.held.splice(0)) send();
  }

  async dispose(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.socket.close();
    await once(this.socket, 'close');
  }

  private take(message: Buffer, from: RemoteInfo): void {
    const { question, end } = readQuestion(message);
    const key = `${message.readUInt16BE(0)} ${question.type} ${question.name}`;
    const isRepeated = this.askers.has(key);
    this.askers.set(key, from);
    if (isRepeated) return;
    this.questions.push(question);
    this.unanswered++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.unanswered);
    const send = (): void => {
      const reply = this.reply(question);
      this.unanswered--;
      const { port, address } = this.askers.get(key) ?? from;
      this.askers.delete(key);
      if (reply !== 'never') this.socket.send(makeAnswer(message, end, reply), port, address);
    };
    if (this.delay === 'hold') this.held.push(send);
    else if (this.delay === 0) send();
    else {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        send();
      }, this.delay);
      this.timers.add(timer);
    }
  }
}

const HEADER = 12;

function readQuestion(message: Buffer): { question: Question; end: number } {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = message.readUInt8(at); length !== 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = message.readUInt16BE(at + 1);
  const type = TYPE_NAMES.get(number) ?? String(number);
  // c-ares may write a name in mixed case
  return { question: { name: labels.join('.').toLowerCase(), type }, end: at + 5 };
}

function makeAnswer(query: Buffer, end: number, reply: Exclude<Reply, 'never'>): Buffer {
  const head = Buffer.from(query.subarray(0, end));
  const records = typeof reply === 'string' ? [] : reply.data;
  const code = reply === 'nxdomain' ? 3 : reply === 'servfail' ? 2 : 0;
  // an answer, authoritative, recursion is available
  head.writeUInt16BE(0x8580 | code, 2);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  if (typeof reply === 'string') return head;
  const parts = records.map((text) => {
    const data = dataOf(reply.type, text);
    const fixed = Buffer.alloc(HEADER);
    // the name of the question
    fixed.writeUInt16BE(0xc000 | HEADER, 0);
    fixed.writeUInt16BE(TYPES[reply.type] ?? 0, 2);
    fixed.writeUInt16BE(1, 4);
    fixed.writeUInt32BE(reply.ttl ?? 300, 6);
    fixed.writeUInt16BE(data.length, 10);
    return Buffer.concat([fixed, data]);
  });
  return Buffer.concat([head, ...parts]);
}

function dataOf(type: 'A' | 'AAAA' | 'PTR' | 'CNAME' | 'TXT', text: string): Buffer {
  if (type === 'TXT') return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
  if (type === 'A') return Buffer.from(text.split('.').map(Number));
  if (type === 'AAAA') return Buffer.from(address(text) as string, 'latin1');
  const labels = text
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
