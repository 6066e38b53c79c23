// What keeps spam out, on the same work: plain Postfix, nolisting alone, postscreen, postgrey, mxallowd; each in a world of
// its own, all at the same time. Greylisting has a sender wait longer than this lasts: then it says so.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StagedDaemon } from '../src/demo/stage.js';
import { Scratch } from '../test/support/cli.js';
import { dnsUnavailable, reverseZones, type Zones } from '../test/support/dns.js';
import { packageUnavailable } from '../test/support/machine.js';
import { mailUnavailable, MailWorld, NAME_SERVERS, Postfix } from '../test/support/mail.js';
import { RealSender } from '../test/support/real-sender.js';
import { EXIM } from '../test/support/sender-kinds.js';
import { stageUnavailable } from '../test/support/stage.js';
import { WORLD } from '../src/demo/world.js';
import { compile, Sender } from './netfilter/programs.js';
import type { BotKind, BotOrder, BotResult } from './peers/bots.js';
import { DOMAINS, type Peer, PEERS, peerUnavailable } from './peers/peers.js';
import { type Usage, usageOf } from './peers/usage.js';
import { machine } from './support.js';

/** Less work, for a look at whether it runs: MXALLOWD_PEERS_SCALE=0.05. */
const SCALE = Number(process.env['MXALLOWD_PEERS_SCALE'] ?? 1);
const scaled = (count: number): number => Math.max(1, Math.round(count * SCALE));

const BOTS = scaled(200);
const BOTS_PER_SECOND = 3;
/** postscreen takes 100 at a time, for six seconds each. */
const REFUSED = scaled(5000);
const REFUSED_PER_SECOND = 16;
/** Seconds until a bot gives up. */
const PATIENCE_S = 20;
/** and until a good sender does, which is in a hurry */
const HURRY_S = 10;
const FLOOD_RATE = 20_000;
const FLOOD_S = 5;
/** Who sends in a flood, and while it is killed. */
const GOOD = 20;
const KILLED_S = 30;

const BOT = fileURLToPath(new URL('./peers/bots.js', import.meta.url));
const EXIM_ADDRESS = '198.51.100.40';
const HOUR_S = 3600;

/** Mail servers of the domains, and the names of the senders. */
const ZONES: Zones = {
  'one.test': `@ MX 10 mx\nmx A ${WORLD.real[0]}`,
  'backup.test': `@ MX 10 mx\n@ MX 20 backup\nmx A ${WORLD.real[0]}\nbackup A ${WORLD.fake[0]}`,
  'example.net': `sender A 198.51.100.25\nexim A ${EXIM_ADDRESS}`,
  ...reverseZones([
    ['198.51.100.25', 'sender.example.net'],
    [EXIM_ADDRESS, 'exim.example.net'],
  ]),
};

/** For the server of a {@link Peer}; what it takes is thrown away. */
const SERVER = {
  myhostname: 'mx.example.test',
  mydestination: Object.keys(DOMAINS).join(', '),
  local_recipient_maps: '',
  local_transport: 'discard:',
  mynetworks: '127.0.0.0/8',
  smtpd_recipient_restrictions: 'reject_unauth_destination',
  smtpd_client_connection_count_limit: '0',
  postscreen_client_connection_count_limit: '0',
  inet_protocols: 'all',
};

/** A message: seconds until it was taken; undefined: it still waits. */
type Delay = number | undefined;

/** A peer in its world. */
class Contestant {
  readonly bots = new Map<BotKind, number>();
  readonly delays: Record<'Postfix' | 'Exim', { first: Delay; second: Delay }> = {
    Postfix: { first: undefined, second: undefined },
    Exim: { first: undefined, second: undefined },
  };
  idle: Usage = { cpuS: 0, memoryMb: 0 };
  refused: Usage = { cpuS: 0, memoryMb: 0 };
  refusedTaken = 0;
  floods: Record<'first' | 'last', BotResult | undefined> = { first: undefined, last: undefined };
  killed: BotResult | undefined;

  private constructor(
    readonly peer: Peer,
    readonly place: MailWorld,
    private readonly daemon: StagedDaemon | undefined,
    private readonly postfix: Postfix,
    private readonly exim: RealSender,
  ) {}

  static async start(peer: Peer): Promise<Contestant> {
    const place = await MailWorld.create(ZONES, false);
    const { world, folder } = place;
    await Postfix.start(world, join(folder, 'server'), { ...SERVER, ...peer.settings }, 'mx', peer.services);
    const daemon = await peer.beside?.(world, folder);
    const postfix = await place.postfix('ipv4');
    const exim = await RealSender.start(world, EXIM, {
      name: 'exim',
      hostName: 'exim.example.net',
      addresses: [EXIM_ADDRESS],
      nameServers: NAME_SERVERS,
      folder: join(folder, 'exim'),
      hourSeconds: HOUR_S,
      connectSeconds: 30,
    });
    return new Contestant(peer, place, daemon, postfix, exim);
  }

  get mx(): readonly string[] {
    return DOMAINS[this.peer.domain];
  }

  private get recipient(): string {
    return `somebody@${this.peer.domain}`;
  }

  /** Two messages of each mail server, the second one when the first one has come; goes on until `over`. */
  async letters(over: () => boolean): Promise<void> {
    const byPostfix = async (): Promise<Delay> => {
      const id = await this.postfix.send('Hello.', this.recipient);
      const sent = new RegExp(`${id}: to=.*, delay=([0-9.]+),.* status=sent `);
      const [, delay] = (await poll(() => sent.exec(this.postfix.log()) ?? undefined, over)) ?? [];
      return delay === undefined ? undefined : Number(delay);
    };
    const byExim = async (recipient: string): Promise<Delay> => {
      const startMs = performance.now();
      await this.exim.send(recipient);
      const isThere = await poll(() => this.exim.hasDelivered(recipient) || undefined, over);
      return isThere === undefined ? undefined : (performance.now() - startMs) / 1000;
    };
    const { Postfix: ofPostfix, Exim: ofExim } = this.delays;
    await Promise.all([
      (async () => {
        ofPostfix.first = await byPostfix();
        if (ofPostfix.first !== undefined) ofPostfix.second = await byPostfix();
      })(),
      (async () => {
        ofExim.first = await byExim(`first@${this.peer.domain}`);
        if (ofExim.first !== undefined) ofExim.second = await byExim(`second@${this.peer.domain}`);
      })(),
    ]);
  }

  /** Bots of a kind. */
  async send(
    order: Pick<BotOrder, 'kind' | 'from' | 'perSecond'> & Partial<Pick<BotOrder, 'patience'>>,
  ): Promise<BotResult> {
    const whole: BotOrder = { patience: PATIENCE_S, to: this.mx, recipient: this.recipient, ...order };
    const argv = [process.execPath, BOT, JSON.stringify(whole)];
    const { stdout, stderr } = await this.place.world.run('internet', argv);
    if (stderr !== '') throw new Error(stderr);
    return JSON.parse(stdout) as BotResult;
  }

  async sendKind(kind: BotKind): Promise<void> {
    const from = [`198.19.${Number(kind[1])}.1`, BOTS] as const;
    this.bots.set(kind, (await this.send({ kind, from, perSecond: BOTS_PER_SECOND })).taken);
  }

  async refuse(): Promise<void> {
    this.idle = await usageOf(this.place.world);
    const from = ['198.19.100.0', REFUSED] as const;
    this.refusedTaken = (await this.send({ kind: 'b1', from, perSecond: REFUSED_PER_SECOND })).taken;
    const after = await usageOf(this.place.world);
    this.refused = { cpuS: after.cpuS - this.idle.cpuS, memoryMb: after.memoryMb };
  }

  /** Good senders while forged SYNs come to one of the mail servers; they have sent before. */
  async flood(program: string, which: 'first' | 'last'): Promise<void> {
    const sender = await Sender.create(this.place.world, program);
    const to = String(this.mx.at(which === 'first' ? 0 : -1));
    const order = {
      kind: 'b4',
      from: ['203.0.113.1', GOOD],
      perSecond: GOOD / FLOOD_S,
      patience: HURRY_S,
    } as const;
    const traffic = {
      to,
      rate: FLOOD_RATE,
      count: FLOOD_RATE * FLOOD_S,
      from: ['198.18.0.0', 65_536],
    } as const;
    const [good] = await Promise.all([this.send(order), sender.steady(traffic)]);
    this.floods[which] = good;
  }

  /** Good senders while it is not there; not where it is the mail server itself. */
  async kill(): Promise<void> {
    const { processes } = this.peer;
    if (processes === undefined) return;
    this.daemon?.signal('SIGKILL');
    for (const name of processes) await this.place.world.script(`pkill -9 -x ${name} || true`, 'mx');
    const order = {
      kind: 'b4',
      from: ['203.0.113.1', GOOD],
      perSecond: GOOD / (KILLED_S / 2),
      patience: HURRY_S,
    } as const;
    this.killed = await this.send(order);
  }

  async known(): Promise<void> {
    await this.send({ kind: 'b4', from: ['203.0.113.1', GOOD], perSecond: GOOD });
  }
}

/** Looks again and again; undefined when it is over before. */
async function poll<T>(look: () => T | undefined, over: () => boolean): Promise<T | undefined> {
  for (;;) {
    const found = look();
    if (found !== undefined || over()) return found;
    await sleep(50);
  }
}

const why =
  stageUnavailable() ?? mailUnavailable() ?? dnsUnavailable() ?? packageUnavailable(EXIM.unpacked ?? '');
const scratch = new Scratch();
const cannot = why ?? compile(scratch);
console.log(machine());
if (cannot === undefined) await compare();
else console.log(`skipped: ${cannot}`);
scratch.remove();

async function compare(): Promise<void> {
  const startMs = performance.now();
  const said = (what: string): void =>
    console.log(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${what}`);
  const there = PEERS.filter((peer) => {
    const missing = peerUnavailable(peer);
    if (missing !== undefined) console.log(`without ${peer.name}: ${missing}`);
    return missing === undefined;
  });
  const contestants: Contestant[] = [];
  try {
    for (const peer of there) contestants.push(await Contestant.start(peer));
    const all = (work: (one: Contestant) => Promise<unknown>): Promise<unknown> =>
      Promise.all(contestants.map(work));
    let isOver = false;
    said(`${contestants.length} mail servers are set up; two mail servers write to each`);
    const letters = all((one) => one.letters(() => isOver));
    await sleep(5000);
    said(`${BOTS} bots of each kind`);
    // who will be known has to come twice for some
    await all((one) => one.known());
    const returning = SCALE < 1 ? undefined : all((one) => one.sendKind('b7'));
    await all((one) =>
      Promise.all((['b1', 'b2', 'b3', 'b4', 'b5', 'b6'] as const).map((kind) => one.sendKind(kind))),
    );
    said(`${REFUSED} bots straight to the real MX, ${REFUSED_PER_SECOND} a second`);
    await all((one) => one.refuse());
    await returning;
    said(`${FLOOD_RATE} forged SYNs a second, one mail server after the other`);
    await all((one) => one.known());
    for (const one of contestants) {
      for (const which of ['first', 'last'] as const) await one.flood(scratch.path('flood'), which);
    }
    said(`killed for ${KILLED_S} s`);
    await all((one) => one.kill());
    isOver = true;
    await letters;
    said('done');
    report(contestants, (performance.now() - startMs) / 1000);
  } finally {
    await Promise.all(contestants.map(({ place }) => place.dispose()));
  }
}

function report(contestants: readonly Contestant[], lastedS: number): void {
  const seconds = (delay: Delay): string =>
    delay === undefined ? `> ${lastedS.toFixed(0)}` : delay.toFixed(1);
  const good = (result: BotResult | undefined): string =>
    result === undefined
      ? '-'
      : `${result.taken}/${GOOD}${result.medianMs === undefined ? '' : ` ${(result.medianMs / 1000).toFixed(2)} s`}`;
  const rows: [string, (one: Contestant) => string][] = [
    ['first message of a Postfix, s', ({ delays }) => seconds(delays.Postfix.first)],
    ['second', ({ delays }) => (delays.Postfix.first === undefined ? '-' : seconds(delays.Postfix.second))],
    ['first message of an Exim, s', ({ delays }) => seconds(delays.Exim.first)],
    ['second', ({ delays }) => (delays.Exim.first === undefined ? '-' : seconds(delays.Exim.second))],
    ...(['b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'] as const).map(
      (kind): [string, (one: Contestant) => string] => [
        `${kind}: taken of ${BOTS}`,
        ({ bots }) => String(bots.get(kind) ?? '-'),
      ],
    ),
    [`CPU for ${REFUSED} bots, s`, ({ refused }) => refused.cpuS.toFixed(1)],
    ['memory with it, MB', ({ refused }) => refused.memoryMb.toFixed(0)],
    ['good mail in a flood to the first MX', ({ floods }) => good(floods.first)],
    ['good mail in a flood to the last MX', ({ floods }) => good(floods.last)],
    ['good mail while it is killed', ({ killed }) => good(killed)],
  ];
  console.log(`\n| | ${contestants.map(({ peer }) => peer.name).join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(contestants.length)}`);
  for (const [name, cell] of rows) console.log(`| ${name} | ${contestants.map(cell).join(' | ')} |`);
  console.log(
    `\nCPU and memory are of the mail server and all that stands before it. ${lastedS.toFixed(0)} s in all.`,
  );
}
