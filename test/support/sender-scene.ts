/** Real mail servers of several kinds that write to a domain with a fake and a real MX, and mxallowd before it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadQueueRule, StagedDaemon } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { until } from './daemon.js';
import { dnsUnavailable, reverseZones, type Zones } from './dns.js';
import { packageUnavailable } from './machine.js';
import { MAIL, mailUnavailable, MailWorld, NAME_SERVERS } from './mail.js';
import { RealSender } from './real-sender.js';
import type { SenderKind } from './sender-kinds.js';
import { stageUnavailable } from './stage.js';

/** A domain whose fake MX has an IPv4 address only. */
export const IPV4_FAKE = 'ipv4-fake.test';

/** Longer than any machine takes that is not broken, and not as long as the tests' patience. */
const CONNECT_SECONDS = 15;

/** Somebody who writes. */
export interface Writer {
  readonly kind: SenderKind;
  /** of its addresses, the same one for all, or one for each of them */
  readonly names: readonly [string, ...string[]];
  /** out of WORLD.senders */
  readonly addresses: readonly string[];
  /** see {@link SenderSettings} */
  readonly from?: string;
  /** whom it writes to; unless told, {@link MAIL}'s domain */
  readonly domain?: string;
}

/** @returns why such a scene cannot be set here, if so */
export function sceneUnavailable(kinds: readonly SenderKind[]): string | undefined {
  const missing = kinds.map(({ unpacked }) => unpacked && packageUnavailable(unpacked)).find(Boolean);
  return stageUnavailable() ?? mailUnavailable() ?? dnsUnavailable() ?? missing;
}

/** A message. */
export class Letter {
  constructor(
    readonly sender: RealSender,
    /** nothing else was sent to this one */
    readonly recipient: string,
  ) {}

  /** In the sender's own words: `held up` when it could not deliver in its first run, whatever came of it later. */
  get fate(): 'delivered' | 'held up' | 'under way' {
    if (this.sender.hasHeldUp(this.recipient)) return 'held up';
    return this.sender.hasDelivered(this.recipient) ? 'delivered' : 'under way';
  }
}

/** A writer and its mail server. */
export type Correspondent = readonly [Writer, RealSender];

/** The senders, the mail server behind the real MX, a name server that knows them all, and mxallowd. */
export class SenderScene {
  private sent = 0;

  private constructor(
    readonly place: MailWorld,
    readonly daemon: StagedDaemon,
    private readonly hourSeconds: number,
    /** in the order of their writers */
    readonly senders: readonly Correspondent[],
  ) {}

  /**
   * Sets it.
   * @param hourSeconds - how many real seconds the senders' hour has
   * @param daemonArgs - what mxallowd is started with, besides its addresses and DNS
   * @param zones - more for the name server
   */
  static async create(
    writers: readonly Writer[],
    hourSeconds: number,
    daemonArgs: readonly string[],
    zones: Zones = {},
  ): Promise<SenderScene> {
    const place = await MailWorld.create(together(zonesOf(writers), zones));
    try {
      await loadQueueRule(place.world, '--queue-num 23');
      const dns = ['--dns-server', WORLD.other, '--dns-timeout', '30'];
      const daemon = StagedDaemon.start(place.world, ['-n', '23', ...dns, ...daemonArgs], () => undefined);
      await daemon.ready();
      const senders = await Promise.all(
        writers.map(async (writer, i) => {
          const name = `s${i}`;
          const sender = await RealSender.start(place.world, writer.kind, {
            name,
            hostName: writer.names[0],
            addresses: writer.addresses,
            nameServers: NAME_SERVERS,
            folder: join(place.folder, name),
            hourSeconds,
            connectSeconds: CONNECT_SECONDS,
            ...(writer.from === undefined ? {} : { from: writer.from }),
          });
          return [writer, sender] as const;
        }),
      );
      return new SenderScene(place, daemon, hourSeconds, senders);
    } catch (error) {
      await place.dispose();
      throw error;
    }
  }

  /** A writer's mail server is given a message. */
  async write([writer, sender]: Correspondent): Promise<Letter> {
    const recipient = `m${++this.sent}@${writer.domain ?? MAIL.domain}`;
    await sender.send(recipient);
    return new Letter(sender, recipient);
  }

  /** Writes, and waits until that has arrived, however long it is held up. */
  async writeFirst(which: Correspondent): Promise<void> {
    const { sender, recipient } = await this.write(which);
    await until(`the first message of ${sender.name} arrives`, async () => {
      if (sender.hasDelivered(recipient)) return true;
      if (sender.hasHeldUp(recipient)) await sender.tryAgain();
      return false;
    });
  }

  /**
   * Writes again and again, by the sender's clock.
   * @param gaps - hours before each message, over and over
   * @param goesOn - asked before each message, with the hours since the beginning
   */
  async *writeRegularly(
    which: Correspondent,
    gaps: readonly number[],
    goesOn: (hour: number) => boolean,
  ): AsyncGenerator<Letter> {
    const startMs = performance.now();
    for (let hour = 0, i = 0; ; i++) {
      hour += gaps[i % gaps.length] ?? 0;
      if (!goesOn(hour)) return;
      await sleep(startMs + hour * this.hourSeconds * 1000 - performance.now());
      yield await this.write(which);
    }
  }

  /** The writers' addresses whose SYN mxallowd refused at the real MX, from its event number `from` on. */
  refused(from: number): Set<string> {
    const refusals = this.daemon.events.slice(from).filter(({ event }) => event === 'refusal');
    return new Set(refusals.map(({ source = '' }) => source));
  }

  /** How often each recipient's message has arrived at the real MX. */
  arrivals(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { text } of this.place.messages()) {
      const [, recipient = ''] = /^X-Rcpt-Args: <(.*)>/m.exec(text) ?? [];
      counts.set(recipient, (counts.get(recipient) ?? 0) + 1);
    }
    return counts;
  }

  dispose(): Promise<void> {
    return this.place.dispose();
  }
}

/** The records of both. */
function together(some: Zones, others: Zones): Zones {
  const names = new Set([...Object.keys(some), ...Object.keys(others)]);
  return Object.fromEntries([...names].map((name) => [name, `${some[name] ?? ''}\n${others[name] ?? ''}`]));
}

/** What DNS says of the writers, and of the domain {@link IPV4_FAKE}. */
function zonesOf(writers: readonly Writer[]): Zones {
  const named = writers.flatMap(({ addresses, names }) =>
    addresses.map((address, i) => [address, names[i] ?? names[0]] as const),
  );
  const zones: Record<string, string> = {
    [IPV4_FAKE]: `
@ MX 10 fake
@ MX 20 ${MAIL.real}.
fake A ${WORLD.fake[0]}`,
    ...reverseZones(named),
  };
  for (const [address, name] of named) {
    const zone = name.split('.').slice(-2).join('.');
    const record = `${name}. ${address.includes(':') ? 'AAAA' : 'A'} ${address}`;
    zones[zone] = `${zones[zone] ?? ''}\n${record}`;
  }
  return zones;
}
