/**
 * What the stand-in for pfctl remembers between two calls: tables, limits, rules' references and, for tests,
 * a clock that can be stopped. Shared by the program and by its harness.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';

/** Which pfctl is imitated, as recorded: FreeBSD 10.2's, FreeBSD 15.1's, OpenBSD's (of 2024-07, on a kernel of 7.8). */
export type Flavour = 'freebsd' | 'freebsd15' | 'openbsd';

/** All of them. */
export const FLAVOURS: readonly Flavour[] = ['freebsd', 'freebsd15', 'openbsd'];

/** How far this user may open /dev/pf. */
export type DeviceMode = 'read-write' | 'read-only' | 'none';

/** Packets and bytes, in this order. */
export type Traffic = readonly [packets: number, bytes: number];

/** What a table with `counters` has counted for one address. */
export interface TrafficCounters {
  readonly inBlock: Traffic;
  readonly inPass: Traffic;
  readonly outBlock: Traffic;
  readonly outPass: Traffic;
}

/** One table of one anchor; the anchor `''` is the main ruleset. */
export interface Table {
  readonly anchor: string;
  readonly name: string;
  persist: boolean;
  constant: boolean;
  counters: boolean;
  /** When the table was made or last cleared, seconds since the epoch. */
  cleared: number;
  /** Canonical text of each entry (`192.0.2.1`, `2001:db8::/48`) and when it was cleared, seconds since the epoch. */
  readonly entries: Map<string, number>;
  /** The entries that carry a `!`. */
  readonly negated: Set<string>;
  /** Counted traffic by entry. */
  readonly traffic: Map<string, TrafficCounters>;
}

/** The numbers of `pfctl -s info`. */
export interface Statistics {
  /** How long pf has been enabled or disabled. */
  readonly seconds: number;
  readonly states: number;
  readonly searches: number;
  readonly inserts: number;
  readonly removals: number;
  readonly matches: number;
  /** other counters that are not 0, by the names that `pfctl -s info -v` prints */
  readonly others?: Readonly<Record<string, number>>;
}

/** Everything but the tables. */
export interface Settings {
  flavour: Flavour;
  /** The hard limit of table entries. */
  limit: number;
  /** Whether the limit is in force; FreeBSD 10's kernel does not enforce small ones. */
  enforceLimit: boolean;
  /** The kernel has no memory for more entries than this, whatever the limit says; null: the limit is exact. */
  refusesBeyond: number | null;
  enabled: boolean;
  device: DeviceMode;
  /** Seconds since the epoch at which the clock stands still, or null for the real one. */
  clock: number | null;
  /** The addresses of each network interface, by its name. */
  interfaces: Record<string, readonly string[]>;
  /** The names that `-r` finds, by address. */
  hosts: Record<string, string>;
  /** How often the rules of each anchor refer to each table. */
  references: Record<string, Record<string, number>>;
  statistics: Statistics;
  /** The rules as `-a '*' -s rules` prints them, one a line; a named anchor ends in ` {`, and its rules in `}`. */
  rules: readonly string[];
  /** What `-s nat` prints, a rule a line. */
  translations: readonly string[];
  /** How often the rules of the main ruleset have been evaluated, by their number; 0 unless told. */
  evaluations: readonly number[];
  /** The process that loaded the rules. */
  rulesPid: number;
  /** What `-s Interfaces` lists, and what `set skip` names of it. */
  kernelInterfaces: readonly string[];
  skipped: readonly string[];
  /** Of the host, and of the rules: `-s info -v`. */
  hostId: string;
  checksum: string;
  /** More entries than this cannot be listed (FreeBSD's net.pf.request_maxcount). */
  requestMaxcount: number;
  /** Whether a call sleeps in the kernel, and every later one with it. */
  asleep: boolean;
  /** OpenBSD 7.8's own pfctl restores limits after a failure, and may not: it says so (sbin/pfctl/pfctl.c). */
  restoresLimits: boolean;
}

/** The whole state. */
export interface PfState extends Settings {
  readonly tables: Map<string, Table>;
}

interface StoredTable {
  readonly anchor: string;
  readonly name: string;
  readonly persist: boolean;
  readonly constant: boolean;
  readonly counters: boolean;
  readonly cleared: number;
  // Two parallel arrays: parsing an object with 200,000 keys takes several times as long.
  readonly addresses: readonly string[];
  readonly addressesCleared: readonly number[];
  readonly negated: readonly string[];
  readonly traffic: Record<string, TrafficCounters>;
}

interface StoredState extends Settings {
  readonly tables: readonly StoredTable[];
}

/** The table entries limit of a system that sets none. */
export const DEFAULT_LIMIT = 200_000;

/** pf enabled, no tables, no rules, and the addresses that the recorded system had. */
export function newState(): PfState {
  return {
    flavour: 'freebsd',
    limit: DEFAULT_LIMIT,
    enforceLimit: false,
    refusesBeyond: null,
    enabled: true,
    device: 'read-write',
    clock: null,
    interfaces: {
      em0: ['192.168.1.3', '192.168.1.4', '2001:dead:beef::1', '2001:dead:beef::2', 'fe80::5054:ff:feaa:1'],
      lo0: ['127.0.0.1', '::1', 'fe80::1'],
    },
    hosts: { '127.0.0.1': 'localhost', '::1': 'localhost' },
    references: {},
    statistics: { seconds: 0, states: 0, searches: 0, inserts: 0, removals: 0, matches: 0 },
    rules: [],
    translations: [],
    evaluations: [],
    rulesPid: 0,
    kernelInterfaces: ['all', 'em0', 'lo', 'lo0', 'pflog', 'pflog0', 'pfsync', 'pfsync0', 'vtnet0'],
    skipped: [],
    hostId: '0x00000000',
    checksum: `0x${'0'.repeat(32)}`,
    requestMaxcount: 65_535,
    asleep: false,
    restoresLimits: false,
    tables: new Map(),
  };
}

/** The time in whole seconds since the epoch, as the kernel would stamp an entry now. */
export function nowSeconds(state: PfState): number {
  return state.clock ?? Math.floor(Date.now() / 1000);
}

/** The key of a table in {@link PfState.tables}. */
export function tableKey(anchor: string, name: string): string {
  return `${anchor}/${name}`;
}

/** Makes an empty table and puts it into the state, in place of one of the same name. */
export function createTable(
  state: PfState,
  name: string,
  flags: { anchor?: string; persist?: boolean; constant?: boolean; counters?: boolean } = {},
): Table {
  const table: Table = {
    anchor: flags.anchor ?? '',
    name,
    persist: flags.persist ?? false,
    constant: flags.constant ?? false,
    counters: flags.counters ?? false,
    cleared: nowSeconds(state),
    entries: new Map(),
    negated: new Set(),
    traffic: new Map(),
  };
  state.tables.set(tableKey(table.anchor, name), table);
  return table;
}

/** Removes entries of a table, with their `!` and counters. */
export function removeEntries(table: Table, addresses: Iterable<string>): void {
  for (const address of addresses) {
    table.entries.delete(address);
    table.negated.delete(address);
    table.traffic.delete(address);
  }
}

function stateFile(directory: string): string {
  return join(directory, 'tables.json');
}

function revive(stored: StoredTable): Table {
  const { addresses, addressesCleared, negated, traffic, ...rest } = stored;
  const entries = new Map<string, number>();
  addresses.forEach((address, index) => entries.set(address, addressesCleared[index] ?? 0));
  return { ...rest, entries, negated: new Set(negated), traffic: new Map(Object.entries(traffic)) };
}

function store(table: Table): StoredTable {
  const { entries, negated, traffic, ...rest } = table;
  return {
    ...rest,
    addresses: [...entries.keys()],
    addressesCleared: [...entries.values()],
    negated: [...negated],
    traffic: Object.fromEntries(traffic),
  };
}

/** Reads the state from `directory`; without a file there it is {@link newState}. */
export function readState(directory: string): PfState {
  let text: string;
  try {
    text = readFileSync(stateFile(directory), 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return newState();
    throw error;
  }
  const stored = JSON.parse(text) as Partial<StoredState>;
  const tables = new Map<string, Table>();
  for (const table of stored.tables ?? []) tables.set(tableKey(table.anchor, table.name), revive(table));
  return { ...newState(), ...stored, tables };
}

/** Which pfctl a state is of: the first thing that stands in its file. */
export function readFlavour(directory: string): Flavour {
  let file: number;
  try {
    file = openSync(stateFile(directory), 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return newState().flavour;
    throw error;
  }
  const start = Buffer.alloc(64);
  readSync(file, start);
  closeSync(file);
  const name = /^\{"flavour":"(\w+)"/.exec(start.toString())?.[1];
  const flavour = FLAVOURS.find((candidate) => candidate === name);
  if (flavour === undefined) throw new Error(`no flavour in ${start.toString()}`);
  return flavour;
}

/** Replaces the state in `directory` in one step, so that a reader sees the old or the new one. */
export function writeState(directory: string, state: PfState): void {
  const stored: StoredState = { ...state, tables: [...state.tables.values()].map(store) };
  const temporary = `${stateFile(directory)}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(stored));
  renameSync(temporary, stateFile(directory));
}

/** The code of a system error such as `ENOENT`, or undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Blocks this process for `milliseconds`. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

const LOCK_DEADLINE_MS = 180_000;
const LOCK_RETRY_MS = 2;
/** Its owner does two system calls meanwhile, and may have to wait for the processor. */
const TAKEOVER_ABANDONED_MS = 60_000;

/** Runs `body` while no other process runs one for the same directory. */
export function withLock<T>(directory: string, body: () => T): T {
  const lock = join(directory, 'lock');
  takeLock(lock);
  try {
    return body();
  } finally {
    unlinkSync(lock);
  }
}

function takeLock(lock: string): void {
  const deadline = Date.now() + LOCK_DEADLINE_MS;
  for (;;) {
    try {
      // A symbolic link appears in one step together with the owner's process id as its target.
      symlinkSync(String(process.pid), lock);
      return;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    if (Date.now() > deadline) throw new Error(`the lock ${lock} is held by process ${ownerOf(lock)}`);
    if (isAbandoned(lock)) takeOver(lock);
    else pause(LOCK_RETRY_MS);
  }
}

function ownerOf(lock: string): number | undefined {
  try {
    return Number(readlinkSync(lock));
  } catch {
    return undefined;
  }
}

function isAbandoned(lock: string): boolean {
  const owner = ownerOf(lock);
  return owner !== undefined && owner !== process.pid && !isAlive(owner);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

/** Removes a dead owner's lock; one process at a time, or the second would remove the first one's new lock. */
function takeOver(lock: string): void {
  const guard = `${lock}.takeover`;
  try {
    mkdirSync(guard);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    removeIfAbandoned(guard);
    pause(LOCK_RETRY_MS);
    return;
  }
  try {
    if (isAbandoned(lock)) unlinkSync(lock);
  } finally {
    rmdirSync(guard);
  }
}

function removeIfAbandoned(guard: string): void {
  try {
    if (Date.now() - statSync(guard).mtimeMs > TAKEOVER_ABANDONED_MS) rmdirSync(guard);
  } catch {
    // Its owner was faster.
  }
}

/** An address or a network as pfctl understands it. */
export interface Prefix {
  /** 4 or 16 bytes, network byte order, host bits zero. */
  readonly bytes: readonly number[];
  /** Prefix length in bits. */
  readonly length: number;
  /** The text under which a table keeps it, without a `!`. */
  readonly text: string;
}

/** The text of an address as FreeBSD's inet_ntop(3) writes it, with `/length` if it is a network. */
export function formatPrefix(bytes: readonly number[], length: number): string {
  const text = bytes.length === 4 ? bytes.join('.') : formatIpv6(bytes);
  return length === bytes.length * 8 ? text : `${text}/${length}`;
}

function formatIpv6(bytes: readonly number[]): string {
  const words = toWords(bytes);
  const run = longestZeroRun(words);
  if (run.start === 0 && isEmbeddedIpv4(words, run.length)) {
    return `${run.length === 5 ? '::ffff:' : '::'}${bytes.slice(12).join('.')}`;
  }
  const hex = words.map((word) => word.toString(16));
  if (run.length < 2) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

function isEmbeddedIpv4(words: readonly number[], zeros: number): boolean {
  return zeros === 6 || (zeros === 7 && words[7] !== 1) || (zeros === 5 && words[5] === 0xffff);
}

function toWords(bytes: readonly number[]): number[] {
  return Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0));
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  let start = 0;
  words.forEach((word, index) => {
    if (word !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}

/** The network of `length` bits that `bytes` lies in. */
export function maskPrefix(bytes: readonly number[], length: number): Prefix {
  const masked = bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, length - index * 8));
    return byte & (0xff00 >> bits) & 0xff;
  });
  return { bytes: masked, length, text: formatPrefix(masked, length) };
}

const PLAIN_IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** Reads an IPv4 address the way inet_aton(3) does: octal, hexadecimal, fewer parts, anything after white space. */
export function parseInetAton(text: string): number[] | undefined {
  const plain = PLAIN_IPV4.exec(text);
  if (plain !== null) {
    const bytes = plain.slice(1).map(Number);
    return bytes.every((byte) => byte < 256) ? bytes : undefined;
  }
  const parts = (text.split(/[ \t\n\v\f\r]/, 1)[0] ?? '').split('.');
  if (parts.length > 4 || !parts.every((part) => /^(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.test(part)))
    return undefined;
  const values = parts.map((part) => Number(/^0\d/.test(part) ? `0o${part}` : part));
  const last = values.pop() ?? 0;
  const lastBytes = 4 - values.length;
  if (values.some((value) => value > 255) || last >= 256 ** lastBytes) return undefined;
  return [
    ...values,
    ...Array.from({ length: lastBytes }, (_, i) => Math.floor(last / 256 ** (lastBytes - 1 - i)) % 256),
  ];
}

/** Reads an IPv4 network the way inet_net_pton(3) does: decimal, missing bytes are zero. */
function parseNetPton(text: string, length: number): number[] | undefined {
  const parts = text.split('.');
  if (length > 32 || parts.length > 4 || !parts.every((part) => /^\d+$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return [0, 1, 2, 3].map((index) => Number(parts[index] ?? 0));
}

/** Reads an IPv4 address of four decimal parts, which may begin with zeros. */
function parseDecimal(text: string): number[] | undefined {
  const parts = text.split('.');
  const isAddress = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
  return isAddress ? parts.map(Number) : undefined;
}

/** Reads an IPv6 address; a scope must name an interface that exists, and is dropped. */
function parseIpv6(text: string, interfaces: Record<string, readonly string[]>): number[] | undefined {
  const [address = '', scope] = text.split('%');
  if (!isIPv6(address) || (scope !== undefined && !Object.hasOwn(interfaces, scope))) return undefined;
  const dotted = /\d+\.\d+\.\d+\.\d+$/.exec(address)?.[0];
  const tail = dotted === undefined ? [] : dotted.split('.').map(Number);
  const groups = dotted === undefined ? address : address.slice(0, -dotted.length).replace(/([^:]):$/, '$1');
  const [left = '', right] = groups.split('::');
  const head = hexGroups(left);
  const rest = [...hexGroups(right ?? ''), ...tail];
  return [...head, ...Array.from({ length: 16 - head.length - rest.length }, () => 0), ...rest];
}

function hexGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    const word = parseInt(group, 16);
    return [word >> 8, word & 0xff];
  });
}

/** What became of one address argument. */
export type ParsedHost =
  | { readonly ok: true; readonly prefixes: readonly Prefix[] }
  | { readonly ok: false; readonly message: string };

/**
 * Reads an address, a network or an interface name the way pfctl does. There is no DNS, as on the recorded
 * system, so every other name fails.
 *
 * @param text without leading `!`.
 * @param addresses how IPv4 addresses may be written
 */
export function parseHost(
  text: string,
  interfaces: Record<string, readonly string[]>,
  addresses: 'inet_aton' | 'decimal' = 'inet_aton',
): ParsedHost {
  const slash = text.lastIndexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const length = slash === -1 ? undefined : text.slice(slash + 1);
  if (length !== undefined && !(/^\d+$/.test(length) && Number(length) <= 128)) {
    return { ok: false, message: `invalid netmask '/${length}'` };
  }
  if (Object.hasOwn(interfaces, address) && length === undefined)
    return interfacePrefixes(address, interfaces);
  const isTooLong = addresses === 'decimal' && !address.includes(':') && Number(length ?? 0) > 32;
  if (isTooLong) return { ok: false, message: `pfctl: cannot decode ${text}: Invalid argument` };
  const bytes = parseLiteral(address, length, interfaces, addresses);
  if (bytes === undefined) return { ok: false, message: `no IP address found for ${text}` };
  return {
    ok: true,
    prefixes: [maskPrefix(bytes, length === undefined ? bytes.length * 8 : Number(length))],
  };
}

function parseLiteral(
  address: string,
  length: string | undefined,
  interfaces: Record<string, readonly string[]>,
  addresses: 'inet_aton' | 'decimal',
): number[] | undefined {
  const parseIpv4 = addresses === 'decimal' ? parseDecimal : parseInetAton;
  const ipv4 = length === undefined ? parseIpv4(address) : parseNetPton(address, Number(length));
  return ipv4 ?? parseIpv6(address, interfaces);
}

function interfacePrefixes(name: string, interfaces: Record<string, readonly string[]>): ParsedHost {
  const prefixes = (interfaces[name] ?? []).map((address) => parsePrefix(address));
  return { ok: true, prefixes };
}

/**
 * Reads one literal address or network.
 *
 * @throws Error if it is none: for text that the tests themselves provide.
 */
export function parsePrefix(text: string): Prefix {
  const parsed = parseHost(text, {});
  const prefix = parsed.ok ? parsed.prefixes[0] : undefined;
  if (prefix === undefined) throw new Error(`${text} is no address`);
  return prefix;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The entries in the order in which `show` lists them: IPv4 first, by address, the longer prefix first. */
export function sortEntries(entries: Iterable<string>): string[] {
  // Numbers and plain strings sort several times faster than a comparison function.
  const ipv4 = new Map<number, string>();
  const ipv6 = new Map<string, string>();
  for (const text of entries) {
    const [address = '', length] = text.split('/');
    if (address.includes(':')) ipv6.set(ipv6Key(address, length), text);
    else ipv4.set(ipv4Key(address, length), text);
  }
  const numbers = Float64Array.from(ipv4.keys()).sort();
  const sorted = Array.from(numbers, (key) => ipv4.get(key) ?? '');
  for (const key of [...ipv6.keys()].sort()) sorted.push(ipv6.get(key) ?? '');
  return sorted;
}

function ipv4Key(address: string, length: string | undefined): number {
  const value = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return value * 64 + (32 - Number(length ?? 32));
}

function ipv6Key(address: string, length: string | undefined): string {
  const bytes = parseIpv6(address, {}) ?? [];
  return bytes.map((byte) => HEX[byte]).join('') + (HEX[128 - Number(length ?? 128)] ?? '');
}
