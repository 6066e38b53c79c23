// DNS over UDP and TCP, with what Node's own resolver does not tell: times to live, TLSA and DS, and AD.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { connect } from 'node:net';
import type * as DnsPacket from 'dns-packet';
import type { Answer, DecodedPacket } from 'dns-packet';
import { isSpf, type Lookup, MOST_RECORDS } from './resolver.js';

/** Types of records that are asked for. */
export type WireType = TextType | 'CNAME' | 'TLSA' | 'DS';

/** Those that {@link timedLookup} gives as text. */
export type TextType = 'A' | 'AAAA' | 'MX' | 'TXT';

/** A record of a type, as it was read. */
export type WireRecord<T extends WireType> = Extract<Answer, { type: T }>['data'];

/** What was answered. */
export interface WireAnswer<T extends WireType> {
  /**
   * empty: there are records; `ENOTFOUND`: there is no such name; `ENODATA`: no such record; otherwise why there is no
   * usable answer, in c-ares' words, as `ESERVFAIL`, `ETIMEOUT`
   */
  readonly code: string;
  readonly records: readonly WireRecord<T>[];
  /** the shortest time to live of what was answered, in milliseconds; 0 when nothing was */
  readonly ttlMs: number;
  /**
   * whether the server says that it has checked the signatures of all that, or of there being nothing (AD, RFC 4035
   * section 3.2.3)
   */
  readonly isAuthentic: boolean;
}

/** Whom to ask, and how long. */
export interface WireSettings {
  /** addresses with or without port, as `192.0.2.53`, `[2001:db8::53]:5353`; none: the system's */
  readonly servers: readonly string[];
  /** for the first try; each further one may take twice as long */
  readonly timeoutMs: number;
  readonly tries: number;
}

interface Server {
  readonly host: string;
  readonly port: number;
}

const DNS_PORT = 53;
/** What arrives in one piece everywhere (DNS flag day 2020). */
const UDP_SIZE = 1232;
/** RFC 1035 section 2.3.4 */
const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;
/** RFC 1035 section 4.1.1: RD; and AD, by which we say that we know what it means (RFC 6840 section 5.7). */
const QUERY_FLAGS = (1 << 8) | (1 << 5);

/** Words for response codes (RFC 1035 section 4.1.1). */
const FAILURES: Readonly<Record<string, string>> = {
  FORMERR: 'EFORMERR',
  SERVFAIL: 'ESERVFAIL',
  NOTIMP: 'ENOTIMP',
  REFUSED: 'EREFUSED',
};

/** Asks DNS servers directly. Never throws: what goes wrong is an answer, too. */
export class WireClient {
  private readonly servers: readonly Server[];
  private readonly stops = new Set<() => void>();
  private closed = false;

  constructor(private readonly settings: WireSettings) {
    const named = settings.servers.length > 0 ? settings.servers : new Resolver().getServers();
    this.servers = named.map(parseServer);
  }

  /** Asks the servers, one after the other, until one has an answer. */
  async ask<T extends WireType>(type: T, name: string): Promise<WireAnswer<T>> {
    if (!isName(name)) return failed('EBADNAME');
    const codec = await import('dns-packet');
    let last = failed<T>('ETIMEOUT');
    for (let attempt = 0; attempt < this.settings.tries; attempt++) {
      for (const server of this.servers) {
        if (this.closed) return failed('ECANCELLED');
        last = await this.askServer(codec, server, type, name, this.settings.timeoutMs * 2 ** attempt);
        if (last.code === '' || last.code === 'ENOTFOUND' || last.code === 'ENODATA') return last;
      }
    }
    return last;
  }

  /** Gives up all that is asked. */
  close(): void {
    this.closed = true;
    for (const stop of this.stops) stop();
  }

  private async askServer<T extends WireType>(
    codec: Codec,
    server: Server,
    type: T,
    name: string,
    timeoutMs: number,
  ): Promise<WireAnswer<T>> {
    const query = makeQuery(codec, type, name);
    const isAnswer = (message: Buffer): DecodedPacket | undefined => readReply(codec, message, query);
    const reply = await this.exchange(overUdp, server, query.bytes, isAnswer, timeoutMs);
    if (typeof reply === 'string') return failed(reply);
    if (!reply.flag_tc) return readAnswer(reply, type);
    const whole = await this.exchange(overTcp, server, query.bytes, isAnswer, timeoutMs);
    return typeof whole === 'string' ? failed(whole) : readAnswer(whole, type);
  }

  /** @returns the reply, or why there is none */
  private exchange(
    transport: Transport,
    server: Server,
    query: Buffer,
    read: (message: Buffer) => DecodedPacket | undefined,
    timeoutMs: number,
  ): Promise<DecodedPacket | string> {
    return new Promise((resolve) => {
      const end = (outcome: DecodedPacket | string): void => {
        clearTimeout(timer);
        this.stops.delete(stop);
        close();
        resolve(outcome);
      };
      const stop = (): void => end('ECANCELLED');
      const timer = setTimeout(() => end('ETIMEOUT'), timeoutMs);
      this.stops.add(stop);
      const close = transport(server, query, {
        message: (message) => {
          const reply = read(message);
          if (reply !== undefined) end(reply);
        },
        failed: () => end('ECONNREFUSED'),
      });
    });
  }
}

/**
 * An answer as {@link Lookup} has it, with its time to live.
 * @param type - of TXT records those for SPF only
 */
export async function timedLookup(
  client: WireClient,
  type: TextType,
  name: string,
): Promise<Lookup & { readonly ttlMs: number }> {
  const { code, records, ttlMs } = await client.ask(type, name);
  const texts = records.map(TEXT[type] as (record: unknown) => string);
  const wanted = type === 'TXT' ? texts.filter(isSpf) : texts;
  const found = wanted.slice(0, MOST_RECORDS[type]);
  if (found.length > 0) return { status: 'found', records: found, code: '', ttlMs };
  const isNone = code === '' || code === 'ENOTFOUND' || code === 'ENODATA';
  return { status: isNone ? 'none' : 'failed', records: [], code: code === '' ? 'ENODATA' : code, ttlMs };
}

/** Records as text. */
const TEXT: { readonly [T in TextType]: (record: WireRecord<T>) => string } = {
  A: (address) => address,
  AAAA: (address) => address,
  MX: ({ preference = 0, exchange }) => `${preference} ${exchange}`,
  TXT: joinStrings,
};

/** The strings of a TXT record as one text, a character for each byte. */
export function joinStrings(strings: WireRecord<'TXT'>): string {
  return [strings]
    .flat()
    .map((one) => (typeof one === 'string' ? one : one.toString('latin1')))
    .join('');
}

type Codec = typeof DnsPacket;

interface Query {
  readonly bytes: Buffer;
  readonly id: number;
  readonly type: WireType;
  readonly name: string;
}

/** Who waits for messages of a server. */
interface Waiting {
  readonly message: (message: Buffer) => void;
  readonly failed: () => void;
}

/** Sends a query. @returns what lets go of it */
type Transport = (server: Server, query: Buffer, waiting: Waiting) => () => void;

const overUdp: Transport = ({ host, port }, query, { message, failed: fail }) => {
  // a socket, and with it a port, for each query: it is half of what a forger has to guess (RFC 5452 section 4.5)
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  let isOpen = true;
  socket.on('message', message);
  socket.on('error', fail);
  socket.connect(port, host, () => {
    if (isOpen) socket.send(query);
  });
  return () => {
    if (!isOpen) return;
    isOpen = false;
    socket.close();
  };
};

const overTcp: Transport = ({ host, port }, query, { message, failed: fail }) => {
  const socket = connect(port, host);
  let received = Buffer.alloc(0);
  socket.on('connect', () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
  socket.on('data', (piece: Buffer) => {
    received = Buffer.concat([received, piece]);
    if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      message(received.subarray(2, 2 + received.readUInt16BE(0)));
    }
  });
  socket.on('error', fail);
  socket.on('close', fail);
  return () => void socket.destroy();
};

function makeQuery(codec: Codec, type: WireType, name: string): Query {
  const id = randomInt(0x1_0000);
  const bytes = codec.encode({
    type: 'query',
    id,
    flags: QUERY_FLAGS,
    questions: [{ type, name, class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_SIZE,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  return { bytes, id, type, name };
}

/** The reply to a query; undefined for anything else, which somebody may have forged. */
function readReply(codec: Codec, message: Buffer, { id, type, name }: Query): DecodedPacket | undefined {
  try {
    const packet = codec.decode(message);
    const [question, ...more] = packet.questions ?? [];
    if (!packet.flag_qr || packet.id !== id || question === undefined || more.length > 0) return undefined;
    const isSame = question.type === type && question.name.toLowerCase() === name.toLowerCase();
    return isSame ? packet : undefined;
  } catch {
    return undefined;
  }
}

function readAnswer<T extends WireType>(reply: DecodedPacket, type: T): WireAnswer<T> {
  const { rcode } = reply as DecodedPacket & { readonly rcode?: string };
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return failed(FAILURES[rcode ?? ''] ?? 'EBADRESP');
  const answers = (reply.answers ?? []).filter(hasTtl);
  const records = answers.filter((answer) => answer.type === type).map(({ data }) => data as WireRecord<T>);
  const isAuthentic = reply.flag_ad;
  if (records.length === 0) {
    return { code: rcode === 'NXDOMAIN' ? 'ENOTFOUND' : 'ENODATA', records, ttlMs: 0, isAuthentic };
  }
  return { code: '', records, ttlMs: Math.min(...answers.map(({ ttl }) => ttlMs(ttl))), isAuthentic };
}

type WithData = Answer & { readonly data: unknown; readonly ttl?: number };

/** OPT is no record. */
function hasTtl(answer: Answer): answer is WithData {
  return answer.type !== 'OPT';
}

/** RFC 2181 section 8: with its highest bit set it is 0. */
function ttlMs(seconds = 0): number {
  return seconds >= 2 ** 31 ? 0 : seconds * 1000;
}

function failed<T extends WireType>(code: string): WireAnswer<T> {
  return { code, records: [], ttlMs: 0, isAuthentic: false };
}

/** What can be sent: labels of 1 to 63 characters of ASCII, 253 together. */
function isName(name: string): boolean {
  const labels = name.split('.');
  return (
    name.length <= LONGEST_NAME &&
    /^[\x21-\x7e]+$/.test(name) &&
    labels.every((label) => label.length > 0 && label.length <= LONGEST_LABEL)
  );
}

/** An address as Node writes it, with a port or without. */
function parseServer(text: string): Server {
  const [, host, port] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text) ?? [];
  return { host: host ?? text, port: port === undefined ? DNS_PORT : Number(port) };
}
