/** What the `.txt` beside a recording of pf's log says of each record: the header's fields, and tcpdump's decoding. */
import { TcpFlag } from '../../src/packet/observation.js';
import type { PflogHeader, Translation } from '../../src/packet/pflog.js';
import { sectionOf } from './recordings.js';

/** A record as its texts have it. */
export interface NotedRecord {
  readonly micros: number;
  readonly captureLength: number;
  readonly originalLength: number;
  /** the header's fields that the text names */
  readonly header: Partial<PflogHeader>;
  readonly translation: Partial<Translation> | undefined;
  readonly source: string | undefined;
  readonly destination: string | undefined;
  /** undefined where tcpdump's words have not been kept */
  readonly decoded: NotedPacket | undefined;
}

/** What tcpdump said of a record. */
export interface NotedPacket {
  readonly micros: number;
  readonly action: string;
  readonly direction: string;
  readonly interfaceName: string;
  /** ports and flags, or the reason that `decode` must give */
  readonly said: string;
  /** of TCP, where tcpdump shows it */
  readonly sequence: number | undefined;
  /** IP options or extension headers; only OpenBSD's tcpdump shows those of IPv4 */
  readonly hasIpOptions: boolean | undefined;
}

const FIELD_LINE = /^(\d+)\.(\d{6}) caplen (\d+) len (\d+) \| (.*?) \| (?:(\S+) > (\S+))?/;

/** The number of records that a text states. */
export function statedRecords(notes: string): number {
  const stated =
    /^(\d+) records(?:, 0 bytes left over)?$/m.exec(notes) ?? /^(\d+) packets? captured$/m.exec(notes);
  return stated === null ? notedRecords(notes).length : Number(stated[1]);
}

/** The records that a text lists: all, but of a burst only the first. */
export function notedRecords(notes: string): NotedRecord[] {
  const fieldLines = sectionOf(notes, '## struct pfloghdr fields:').filter((line) => FIELD_LINE.test(line));
  const decodedLines = sectionOf(notes, '## decoded by').filter((line) => /^\d\d:\d\d:\d\d\./.test(line));
  return fieldLines.map((line, index) => notedRecord(line, decodedLines[index]));
}

function notedRecord(line: string, decodedLine: string | undefined): NotedRecord {
  const [, seconds, micros, captureLength, originalLength, text = '', source, destination] =
    FIELD_LINE.exec(line) ?? [];
  const word = (name: string): string | undefined => new RegExp(`(?:^| )${name} (\\S+)`).exec(text)?.[1];
  // "action 1(drop)"
  const number = (name: string): number | undefined => {
    const value = word(name);
    return value === undefined ? undefined : Number.parseInt(value);
  };
  const quoted = (name: string): string | undefined => new RegExp(` ${name} '(.*?)'`).exec(text)?.[1];
  const identifier = /ridentifier\(raw bytes\) ([0-9a-f]{8})/.exec(text)?.[1];
  const rewritten = word('rewritten');
  const endpoint = (address: string | undefined): string | undefined =>
    quoted('ruleset') === undefined ? address?.replace(/\.\d+$/, '') : address;
  return {
    micros: Number(seconds) * 1_000_000 + Number(micros),
    captureLength: Number(captureLength),
    originalLength: Number(originalLength),
    header: withoutUndefined<PflogHeader>({
      length: number('length'),
      addressFamily: number('af'),
      action: number('action'),
      reason: number('reason'),
      interfaceName: quoted('ifname'),
      ruleset: quoted('ruleset'),
      ruleNumber: number('rulenr'),
      subruleNumber: number('subrulenr'),
      uid: number('uid'),
      pid: number('pid'),
      ruleUid: number('rule_uid'),
      rulePid: number('rule_pid'),
      direction: number('dir'),
      ruleIdentifier: identifier === undefined ? undefined : Number.parseInt(identifier, 16),
    }),
    translation:
      rewritten === undefined
        ? undefined
        : withoutUndefined<Translation>({
            rewritten: rewritten === '1',
            source: word('saddr'),
            sourcePort: number('sport'),
            destination: unpacked(word('daddr'), number('naf') === 2),
            destinationPort: number('dport'),
          }),
    // the one text without rule sets has ports behind the addresses
    source: endpoint(source),
    destination: endpoint(destination),
    decoded: decodedLine === undefined ? undefined : notedPacket(decodedLine),
  };
}

/** An address that a text gives as 32 hexadecimal digits. */
function unpacked(address: string | undefined, isIpv4: boolean): string | undefined {
  if (address === undefined || !/^[0-9a-f]{32}$/.test(address)) return address;
  const bytes = [...Buffer.from(address, 'hex')];
  if (isIpv4) return bytes.slice(0, 4).join('.');
  return address === `${'0'.repeat(31)}1` ? '::1' : (address.match(/.{4}/g) ?? []).join(':');
}

function withoutUndefined<T>(fields: { [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** "17:55:17.308216 rule 2/0(match): block in on em0: REST", "... rule 5/(match) [uid 0, pid 24588] pass in on vio1: REST" */
const DECODED =
  /^\d\d:\d\d:\d\d\.(\d{6}) rule \S+\):?(?: \[uid \d+, pid \d+\])? (\S+) (in|out) on (\w+): (?:\[(?:uid|rewritten)[^\]]*\] )?(.*)$/;

function notedPacket(line: string): NotedPacket | undefined {
  const [, micros, action = '', direction = '', interfaceName = '', packet = ''] = DECODED.exec(line) ?? [];
  if (micros === undefined) return undefined;
  return {
    micros: Number(micros),
    action,
    direction,
    interfaceName,
    said: / rule \S+\): /.test(line) ? saidByTcpdump4(packet) : saidByOpenbsd(packet),
    sequence: sequenceOf(packet),
    hasIpOptions: / rule \S+\): /.test(line) ? undefined : / (optlen=|HBH |DSTOPT |srcrt )/.test(packet),
  };
}

function sequenceOf(packet: string): number | undefined {
  const text = /\bseq (\d+)/.exec(packet)?.[1] ?? /\s(\d+):\d+\(\d+\)/.exec(packet)?.[1];
  return text === undefined ? undefined : Number(text);
}

/** "A.port > B.port: REST", "A > B: HBH port > port: REST" and "A > B: REST" */
const WITH_PORTS = /^\S+\.(\d+) > \S+\.(\d+): (.*)$/;
const WITH_EXTENSION = /^\S+ > \S+:? (?:HBH|DSTOPT|srcrt \(.*?\)|frag \(.*?\)) ?(\d+) > (\d+): (.*)$/;

const FLAG_LETTERS: Readonly<Record<string, number>> = {
  F: TcpFlag.FIN,
  S: TcpFlag.SYN,
  R: TcpFlag.RST,
  P: TcpFlag.PSH,
  U: TcpFlag.URG,
  E: TcpFlag.ECE,
  W: TcpFlag.CWR,
};

function flagBits(letters: string): number {
  return [...letters].reduce((sum, letter) => sum + (FLAG_LETTERS[letter] ?? Number.NaN), 0);
}

/** FreeBSD's and the host's tcpdump: "Flags [S.], seq ..." */
function saidByTcpdump4(packet: string): string {
  if (packet === ' [|ip]') return 'truncated-ipv4';
  if (packet === ' [|ip6]') return 'truncated-ipv6';
  if (packet.endsWith(': ip-proto-6')) return 'fragment';
  const [, from = '', to = '', rest] = WITH_PORTS.exec(packet) ?? WITH_EXTENSION.exec(packet) ?? [];
  if (rest === undefined) return 'not-tcp';
  if (rest === ' [|tcp]') return 'truncated-tcp';
  const flags = /^Flags \[([A-Z]*)(\.?)\]/.exec(rest);
  if (flags === null) return 'not-tcp';
  return `${from} > ${to} flags ${flagBits(flags[1] ?? '') + (flags[2] === '' ? 0 : TcpFlag.ACK)}`;
}

/** OpenBSD's: "S [tcp sum ok] 1:1(0) win ..."; the flag ACK is told by "ack". */
function saidByOpenbsd(packet: string): string {
  if (packet.startsWith('truncated-tcp')) return 'short-tcp';
  if (/^\S+ > \S+: \(frag /.test(packet)) return 'fragment';
  const [, from = '', to = '', rest] = WITH_PORTS.exec(packet) ?? WITH_EXTENSION.exec(packet) ?? [];
  if (rest === undefined) return 'not-tcp';
  if (rest.startsWith('[|tcp]')) return 'truncated-tcp';
  const flags = /^([A-Z]+|\.) /.exec(rest)?.[1];
  if (flags === undefined) return 'not-tcp';
  const acknowledges = / ack \d+ /.test(rest) ? TcpFlag.ACK : 0;
  return `${from} > ${to} flags ${flagBits(flags.replace('.', '')) + acknowledges}`;
}
