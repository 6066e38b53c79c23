/**
 * A stand-in for pfctl(8) that keeps tables in a file: `pfctl.js --state DIRECTORY ARGUMENTS...`. Texts, streams and
 * exit status are those of FreeBSD 10.2's pfctl, which test/table/pfctl-stand-in.test.ts replays; what it
 * does not know it refuses with "stand-in pfctl: not implemented".
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readRuleset } from './pfctl-rules.js';
import {
  createTable,
  errorCode,
  formatPrefix,
  maskPrefix,
  nowSeconds,
  parseHost,
  parsePrefix,
  pause,
  readState,
  removeEntries,
  sortEntries,
  tableKey,
  withLock,
  writeState,
  DEFAULT_LIMIT,
  type PfState,
  type Prefix,
  type Table,
  type Traffic,
} from './pfctl-state.js';

const USAGE = `usage: pfctl [-AdeghmNnOPqRrvz] [-a anchor] [-D macro=value] [-F modifier]
\t[-f file] [-i interface] [-K host | network]
\t[-k host | network | label | id] [-o level] [-p device]
\t[-s modifier] [-t table -T command [address ...]] [-x level]
`;
const OPTIONS_WITH_ARGUMENT = 'aDFfiKkopstTx';
const OPTIONS_WITHOUT_ARGUMENT = 'AdeghmNnOPqRrvz';
const IMPLEMENTED_OPTIONS = 'adeFfnqrstTv';

const TABLE_COMMANDS = [
  'kill',
  'flush',
  'add',
  'delete',
  'load',
  'replace',
  'show',
  'test',
  'zero',
  'expire',
];
const SHOW_MODIFIERS = [
  ...['nat', 'queue', 'rules', 'Anchors', 'Sources', 'states', 'info', 'Interfaces', 'labels', 'timeouts'],
  ...['memory', 'Tables', 'osfp', 'all'],
];
const FLUSH_MODIFIERS = ['nat', 'queue', 'rules', 'Sources', 'states', 'info', 'Tables', 'osfp', 'all'];

const EXIT_USAGE = 1;
const EXIT_NO_MATCH = 2;
const EXIT_TABLE_ERROR = 255;

const TABLE_NAME_SIZE = 32;
const TOKEN_SIZE = 256;

/** Command line options after getopt(3); a name that was abbreviated is complete. */
interface Options {
  readonly anchor: string;
  readonly table: string | undefined;
  readonly command: string | undefined;
  readonly file: string | undefined;
  readonly show: string | undefined;
  readonly flush: string | undefined;
  readonly operands: readonly string[];
  readonly verbose: number;
  readonly quiet: boolean;
  readonly noAction: boolean;
  readonly resolve: boolean;
  readonly disable: boolean;
  readonly enable: boolean;
}

/** Collects what goes to stdout and stderr; one character is one byte, because pfctl echoes bytes it cannot read. */
class Output {
  stdout = '';
  stderr = '';

  /** One line of stderr that begins with the program's name. */
  warn(text: string): void {
    this.stderr += `pfctl: ${text}\n`;
  }

  usage(): number {
    this.stderr += USAGE;
    return EXIT_USAGE;
  }

  notImplemented(what: string): number {
    this.stderr += `stand-in pfctl: not implemented: ${what}\n`;
    return EXIT_USAGE;
  }
}

interface RawOptions {
  readonly letters: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** Splits a command line the way getopt(3) does: it stops at the first operand. */
function getopt(argv: readonly string[], output: Output): RawOptions | undefined {
  const letters = new Map<string, string[]>();
  let index = 0;
  for (; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (argument === '--') return { letters, operands: argv.slice(index + 1) };
    if (argument === '-' || !argument.startsWith('-')) break;
    for (let at = 1; at < argument.length; at++) {
      const letter = argument.charAt(at);
      let value = '';
      if (OPTIONS_WITH_ARGUMENT.includes(letter)) {
        const rest = argument.slice(at + 1);
        at = argument.length;
        const next = rest === '' ? argv[++index] : rest;
        if (next === undefined) return badOption(`option requires an argument -- ${letter}`, output);
        value = next;
      } else if (!OPTIONS_WITHOUT_ARGUMENT.includes(letter)) {
        return badOption(`illegal option -- ${letter}`, output);
      }
      letters.set(letter, [...(letters.get(letter) ?? []), value]);
    }
  }
  return { letters, operands: argv.slice(index) };
}

function badOption(text: string, output: Output): undefined {
  output.warn(text);
  output.usage();
  return undefined;
}

/** Completes an abbreviated name; `undefined` if the option was not given, `null` if the name is unknown. */
function lookup(
  { letters }: RawOptions,
  letter: string,
  names: readonly string[],
  kind: string,
  output: Output,
): string | null | undefined {
  const value = letters.get(letter)?.at(-1);
  if (value === undefined) return undefined;
  const name = names.find((candidate) => candidate.startsWith(value));
  if (name !== undefined) return name;
  output.warn(`Unknown ${kind} '${value}'`);
  output.usage();
  return null;
}

/** Reads the command line, or answers the exit status of a bad one. */
function parseOptions(argv: readonly string[], output: Output): Options | number {
  if (argv.length === 0) return output.usage();
  const raw = getopt(argv, output);
  if (raw === undefined) return EXIT_USAGE;
  const { letters, operands } = raw;
  if (letters.has('h')) return output.usage();
  const command = lookup(raw, 'T', TABLE_COMMANDS, 'table command', output);
  const show = lookup(raw, 's', SHOW_MODIFIERS, 'show modifier', output);
  const flush = lookup(raw, 'F', FLUSH_MODIFIERS, 'flush modifier', output);
  if (command === null || show === null || flush === null) return EXIT_USAGE;
  const unknown = [...letters.keys()].find((letter) => !IMPLEMENTED_OPTIONS.includes(letter));
  if (unknown !== undefined) return output.notImplemented(`option -${unknown}`);
  if (command === undefined && operands.length > 0) {
    output.warn(`unknown command line argument: ${operands[0]} ...`);
    return output.usage();
  }
  return {
    anchor: letters.get('a')?.at(-1) ?? '',
    table: letters.get('t')?.at(-1),
    command,
    file: letters.get('f')?.at(-1),
    show,
    flush,
    operands,
    verbose: letters.get('v')?.length ?? 0,
    quiet: letters.has('q'),
    noAction: letters.has('n'),
    resolve: letters.has('r'),
    disable: letters.has('d'),
    enable: letters.has('e'),
  };
}

/** What reading the file of `-f` gave: its bytes, or the text of the error. */
type FileText =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: string } | undefined;

function readInput(file: string | undefined): FileText {
  if (file === undefined) return undefined;
  try {
    return { ok: true, text: file === '-' ? readStdin() : readFileSync(file, 'latin1') };
  } catch (error) {
    return { ok: false, error: errorCode(error) === 'ENOENT' ? 'No such file or directory' : String(error) };
  }
}

function readStdin(): string {
  for (;;) {
    try {
      return readFileSync(0, 'latin1');
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      pause(1);
    }
  }
}

/** One run of the program against one state. */
interface Run {
  readonly directory: string;
  readonly options: Options;
  readonly state: PfState;
  readonly input: FileText;
  readonly output: Output;
  /** True with `-n` if /dev/pf could not be opened: nothing is asked of the kernel. */
  readonly syntaxOnly: boolean;
}

/** A result line, which goes to stderr. */
function report({ options, output, syntaxOnly }: Run, text: string): void {
  if (options.quiet) return;
  const suffix = syntaxOnly ? ' (syntax only)' : options.noAction ? ' (dummy)' : '';
  output.stderr += `${text}${suffix}.\n`;
}

/** A table command's error as the kernel reports it. */
function tableError({ state, output }: Run, text: string): number {
  output.warn(state.flavour === 'openbsd' ? text : `${text}.`);
  return EXIT_TABLE_ERROR;
}

function noSuchTable(run: Run): number {
  return tableError(run, 'Table does not exist');
}

/** An address as given, with its `!`. */
interface Address {
  readonly prefix: Prefix;
  readonly negated: boolean;
}

/** Adds what one word of the command line or of a file stands for; answers the error, if any. */
function appendAddress(run: Run, word: string, addresses: Address[]): string | undefined {
  const { output, state } = run;
  // C strings end at a NUL.
  const text = word.split('\0', 1)[0] ?? '';
  const host = text.replace(/^!+/, '');
  const negated = (text.length - host.length) % 2 === 1;
  const parsed = parseHost(host, state.interfaces);
  if (!parsed.ok) {
    output.stderr += `${parsed.message}\n`;
    return state.flavour === 'openbsd' ? 'Undefined error: 0' : 'No error: 0';
  }
  for (const prefix of parsed.prefixes) addresses.push({ prefix, negated });
  return undefined;
}

/** The words of an address file; a `#` begins a comment only where a word may begin. */
function* fileWords(text: string): Generator<string> {
  for (const [word] of text.matchAll(/#[^\n]*|[^ \t\n\v\f\r]+/g)) if (!word.startsWith('#')) yield word;
}

/** Reads all addresses, the arguments before the file; undefined after an error, which has been reported. */
function loadAddresses(run: Run): Address[] | undefined {
  const { options, output, input } = run;
  const addresses: Address[] = [];
  for (const operand of options.operands) {
    if (appendAddress(run, Buffer.from(operand).toString('latin1'), addresses) !== undefined)
      return undefined;
  }
  if (input === undefined) return addresses;
  const error = input.ok ? loadFile(run, input.text, addresses) : input.error;
  if (error === undefined) return addresses;
  output.warn(`cannot load ${options.file ?? ''}: ${error}`);
  return undefined;
}

function loadFile(run: Run, text: string, addresses: Address[]): string | undefined {
  for (const word of fileWords(text)) {
    const error = word.length >= TOKEN_SIZE ? 'Invalid argument' : appendAddress(run, word, addresses);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** What a command did with one address, as the letter that `-v` prints. */
type Feedback = ' ' | 'A' | 'D' | 'C' | 'M' | 'X' | 'Y' | 'Z';

function addressLine(run: Run, letter: Feedback, text: string, negated: boolean, rest = ''): string {
  const name = run.options.resolve ? run.state.hosts[text] : undefined;
  return `${letter} ${negated ? '!' : ' '}${text}${rest}${name === undefined ? '' : `\t(${name})`}\n`;
}

/** The lines of `-v` (entries that something happened to) and `-vv` (all). */
function printFeedback(run: Run, lines: readonly (readonly [Feedback, Address])[]): void {
  const { options, output, state } = run;
  if (options.verbose === 0) return;
  const shown = options.verbose > 1 ? [...lines] : lines.filter(([letter]) => letter !== ' ');
  if (state.flavour === 'openbsd' && options.command === 'add') shown.reverse();
  output.stdout += shown
    .map(([letter, { prefix, negated }]) => addressLine(run, letter, prefix.text, negated))
    .join('');
}

/** The table that the command names, if it exists. */
function findTable({ state, options }: Run): Table | undefined {
  return state.tables.get(tableKey(options.anchor, options.table ?? ''));
}

/** The kernel's own root nodes stand at these places, so that no host can be put there. */
function isUnroutable({ prefix }: Address): boolean {
  return prefix.text === '0.0.0.0' || prefix.text === '::';
}

function insert(run: Run, table: Table, { prefix, negated }: Address): void {
  if (run.options.noAction) return;
  table.entries.set(prefix.text, nowSeconds(run.state));
  if (negated) table.negated.add(prefix.text);
}

/** Whether the kernel has no room for so many more entries; it allocates one for each given address, also twice. */
function isOverLimit({ state }: Run, count: number): boolean {
  if (!state.enforceLimit) return false;
  let total = count;
  for (const table of state.tables.values()) total += table.entries.size;
  return total > state.limit;
}

/** Makes the table of an `add` or `replace` that is missing; answers it, or the exit status to end with. */
function ensureTable(run: Run): Table | number {
  const { options, state } = run;
  const existing = findTable(run);
  if (existing !== undefined) return existing;
  const table = createTable(state, options.table ?? '', { anchor: options.anchor, persist: true });
  report(run, '1 table created');
  return options.noAction ? 0 : table;
}

function addCommand(run: Run): number {
  const addresses = loadAddresses(run);
  if (addresses === undefined) return EXIT_TABLE_ERROR;
  if (run.syntaxOnly) return reportNothing(run, `0/${addresses.length} addresses added`);
  const table = ensureTable(run);
  if (typeof table === 'number') return table;
  if (table.constant) return tableError(run, 'Operation not permitted');
  if (isOverLimit(run, addresses.length)) return tableError(run, 'Cannot allocate memory');
  const fresh = new Set<string>();
  const lines = addresses.map((address) => [addOne(run, table, address, fresh), address] as const);
  report(run, `${fresh.size}/${addresses.length} addresses added`);
  printFeedback(run, lines);
  return 0;
}

function addOne(run: Run, table: Table, address: Address, fresh: Set<string>): Feedback {
  const { text } = address.prefix;
  if (fresh.has(text)) return 'X';
  if (table.entries.has(text)) return table.negated.has(text) === address.negated ? ' ' : 'Y';
  if (isUnroutable(address)) return ' ';
  fresh.add(text);
  insert(run, table, address);
  return 'A';
}

function reportNothing(run: Run, text: string): number {
  report(run, text);
  return 0;
}

function deleteCommand(run: Run): number {
  const addresses = loadAddresses(run);
  if (addresses === undefined) return EXIT_TABLE_ERROR;
  if (run.syntaxOnly) return reportNothing(run, `0/${addresses.length} addresses deleted`);
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  if (table.constant) return tableError(run, 'Operation not permitted');
  const gone = new Set<string>();
  const lines = addresses.map((address) => [deleteOne(table, address, gone), address] as const);
  if (!run.options.noAction) removeEntries(table, gone);
  report(run, `${gone.size}/${addresses.length} addresses deleted`);
  printFeedback(run, lines);
  return 0;
}

function deleteOne(table: Table, { prefix: { text }, negated }: Address, gone: Set<string>): Feedback {
  if (!table.entries.has(text)) return ' ';
  if (table.negated.has(text) !== negated) return 'Y';
  if (gone.has(text)) return 'X';
  gone.add(text);
  return 'D';
}

function replaceCommand(run: Run): number {
  const addresses = loadAddresses(run);
  if (addresses === undefined) return EXIT_TABLE_ERROR;
  if (run.syntaxOnly) return reportNothing(run, 'no changes');
  const table = ensureTable(run);
  if (typeof table === 'number') return table;
  if (table.constant) return tableError(run, 'Operation not permitted');
  if (isOverLimit(run, addresses.length)) return tableError(run, 'Cannot allocate memory');
  const lines = replaceEntries(run, table, addresses);
  const count = (letter: Feedback): number => lines.filter(([found]) => found === letter).length;
  const changes = [count('A'), count('D'), count('C')];
  ['added', 'deleted', 'changed'].forEach((verb, index) => {
    if ((changes[index] ?? 0) > 0) report(run, `${changes[index]} addresses ${verb}`);
  });
  if (changes.every((change) => change === 0)) report(run, 'no changes');
  printFeedback(run, lines);
  return 0;
}

/** Makes `addresses` the content of the table; entries that stay keep their time. */
function replaceEntries(
  run: Run,
  table: Table,
  addresses: readonly Address[],
): (readonly [Feedback, Address])[] {
  const seen = new Set<string>();
  const lines = addresses.map((address) => [replaceOne(run, table, address, seen), address] as const);
  const gone = sortEntries([...table.entries.keys()].filter((text) => !seen.has(text)));
  for (const text of gone) {
    lines.push(['D', { prefix: parsePrefix(text), negated: table.negated.has(text) }] as const);
  }
  if (!run.options.noAction) removeEntries(table, gone);
  return lines;
}

function replaceOne(run: Run, table: Table, address: Address, seen: Set<string>): Feedback {
  const { text } = address.prefix;
  if (seen.has(text)) return 'X';
  if (isUnroutable(address)) return ' ';
  seen.add(text);
  const present = table.entries.has(text);
  if (present && table.negated.has(text) === address.negated) return ' ';
  if (!run.options.noAction) removeEntries(table, [text]);
  insert(run, table, address);
  return present ? 'C' : 'A';
}

function testCommand(run: Run): number {
  const addresses = loadAddresses(run);
  if (addresses === undefined) return EXIT_TABLE_ERROR;
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  const odd = addresses.find(({ prefix, negated }) => negated || prefix.length < prefix.bytes.length * 8);
  if (odd !== undefined) return run.output.notImplemented(`-T test of ${odd.prefix.text}`);
  const lengths = new Set([...table.entries.keys()].map((text) => Number(text.split('/')[1] ?? -1)));
  const matches = addresses.map((address) => ({
    address,
    match: longestMatch(table, lengths, address.prefix),
  }));
  const hits = matches.filter(({ match }) => match !== undefined && !table.negated.has(match));
  report(run, `${hits.length}/${addresses.length} addresses match`);
  if (run.options.verbose === 1)
    printFeedback(
      run,
      hits.map(({ address }) => ['M', address] as const),
    );
  if (run.options.verbose > 1) {
    for (const { address, match } of matches) run.output.stdout += testLine(run, table, address, match);
  }
  return hits.length < addresses.length ? EXIT_NO_MATCH : 0;
}

function testLine(run: Run, table: Table, { prefix, negated }: Address, match: string | undefined): string {
  if (match === undefined) return addressLine(run, ' ', prefix.text, negated, '\t nomatch');
  const isNegated = table.negated.has(match);
  return addressLine(run, isNegated ? ' ' : 'M', prefix.text, negated, `\t${isNegated ? '!' : ' '}${match}`);
}

/** The entry that decides about an address; `lengths` are the prefix lengths in use, -1 standing for hosts. */
function longestMatch(
  table: Table,
  lengths: ReadonlySet<number>,
  { bytes, text }: Prefix,
): string | undefined {
  if (table.entries.has(text)) return text;
  for (let length = bytes.length * 8 - 1; length >= 0; length--) {
    if (!lengths.has(length)) continue;
    const network = formatPrefix(maskPrefix(bytes, length).bytes, length);
    if (table.entries.has(network)) return network;
  }
  return undefined;
}

const ctimeCache = new Map<number, string>();

/** A time as ctime(3) writes it, in the local zone. */
function ctime(seconds: number): string {
  let text = ctimeCache.get(seconds);
  if (text === undefined) {
    const date = new Date(seconds * 1000);
    const [day = '', month = '', , year = ''] = date.toDateString().split(' ');
    text = `${day} ${month} ${String(date.getDate()).padStart(2)} ${date.toTimeString().slice(0, 8)} ${year}`;
    ctimeCache.set(seconds, text);
  }
  return text;
}

function trafficLine(name: string, [packets, bytes]: Traffic): string {
  return `\t${`${name}:`.padEnd(12)} [ Packets: ${String(packets).padEnd(18)} Bytes: ${String(bytes).padEnd(18)} ]\n`;
}

function showCommand(run: Run): number {
  const { options, output } = run;
  if (options.operands.length > 0 || options.file !== undefined) return output.usage();
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  const lines: string[] = [];
  for (const text of sortEntries(table.entries.keys())) {
    lines.push(addressLine(run, ' ', text, table.negated.has(text)));
    if (options.verbose > 0) lines.push(entryDetails(table, text));
  }
  output.stdout += lines.join('');
  return 0;
}

function entryDetails(table: Table, text: string): string {
  const cleared = `\tCleared:     ${ctime(table.entries.get(text) ?? 0)}\n`;
  const traffic = table.counters ? table.traffic.get(text) : undefined;
  if (traffic === undefined) return cleared;
  const { inBlock, inPass, outBlock, outPass } = traffic;
  return (
    cleared +
    trafficLine('In/Block', inBlock) +
    trafficLine('In/Pass', inPass) +
    trafficLine('Out/Block', outBlock) +
    trafficLine('Out/Pass', outPass)
  );
}

function flushCommand(run: Run): number {
  const { options, output } = run;
  if (options.operands.length > 0 || options.file !== undefined) return output.usage();
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  if (table.constant) return tableError(run, 'Operation not permitted');
  report(run, `${table.entries.size} addresses deleted`);
  if (!options.noAction) removeEntries(table, [...table.entries.keys()]);
  return 0;
}

function killCommand(run: Run): number {
  const { options, output, state } = run;
  if (options.operands.length > 0 || options.file !== undefined) return output.usage();
  report(run, `${findTable(run) === undefined ? 0 : 1} table deleted`);
  if (!options.noAction) state.tables.delete(tableKey(options.anchor, options.table ?? ''));
  return 0;
}

function zeroCommand(run: Run): number {
  const { options, output, state } = run;
  const givesAddresses = options.operands.length > 0 || options.file !== undefined;
  if (givesAddresses) return state.flavour === 'openbsd' ? zeroAddresses(run) : output.usage();
  const table = findTable(run);
  report(run, `${table === undefined ? 0 : 1} table/stats cleared`);
  if (table === undefined || options.noAction) return 0;
  table.cleared = nowSeconds(state);
  clearEntries(run, table, table.entries.keys());
  return 0;
}

function clearEntries(run: Run, table: Table, texts: Iterable<string>): void {
  const now = nowSeconds(run.state);
  for (const text of texts) {
    table.entries.set(text, now);
    table.traffic.delete(text);
  }
}

function zeroAddresses(run: Run): number {
  const addresses = loadAddresses(run);
  if (addresses === undefined) return EXIT_TABLE_ERROR;
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  const lines = addresses.map((address) => {
    const { text } = address.prefix;
    if (!table.entries.has(text)) return [' ', address] as const;
    return [table.negated.has(text) === address.negated ? 'Z' : 'Y', address] as const;
  });
  const cleared = lines.filter(([letter]) => letter === 'Z').map(([, { prefix }]) => prefix.text);
  if (!run.options.noAction) clearEntries(run, table, cleared);
  report(run, `${cleared.length}/${addresses.length} addresses cleared`);
  printFeedback(run, lines);
  return 0;
}

function expireCommand(run: Run): number {
  const { options, output, state } = run;
  const [lifetime, ...more] = options.operands;
  if (lifetime === undefined || more.length > 0 || options.file !== undefined) return output.usage();
  if (!/^\s*[-+]?\d+$/.test(lifetime)) return badLifetime(output, 'invalid');
  if (Number(lifetime) < 0) return badLifetime(output, 'too small');
  if (Number(lifetime) > 0xffffffff) return badLifetime(output, 'too large');
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  if (table.constant) return tableError(run, 'Operation not permitted');
  const now = nowSeconds(state);
  const old = [...table.entries]
    .filter(([, cleared]) => now - cleared > Number(lifetime))
    .map(([text]) => text);
  const lines = sortEntries(old).map(
    (text) => ['D', { prefix: parsePrefix(text), negated: table.negated.has(text) }] as const,
  );
  if (!options.noAction) removeEntries(table, old);
  report(run, `${old.length}/${old.length} addresses expired`);
  printFeedback(run, lines);
  return 0;
}

function badLifetime(output: Output, reason: string): number {
  output.warn(`expiry time: ${reason}`);
  return EXIT_USAGE;
}

const COMMANDS: Record<string, (run: Run) => number> = {
  add: addCommand,
  delete: deleteCommand,
  expire: expireCommand,
  flush: flushCommand,
  kill: killCommand,
  replace: replaceCommand,
  show: showCommand,
  test: testCommand,
  zero: zeroCommand,
};

/** The limits that OpenBSD 7.8 tries to restore when it fails, although /dev/pf is only open for reading. */
const OPENBSD_LIMITS = [
  'states',
  'src-nodes',
  'frags',
  'tables',
  'table-entries',
  'pktdelay-pkts',
  'anchors',
];

function tableCommand(run: Run): number {
  const { options, output, state } = run;
  const { table, command = '' } = options;
  if (table === undefined || table.length >= TABLE_NAME_SIZE) return output.usage();
  const body = COMMANDS[command];
  if (body === undefined) return output.notImplemented(`-T ${command}`);
  const qualified = findInterfaceModifier(run);
  if (qualified !== undefined) return output.notImplemented(`the address ${qualified}`);
  const status = table === '' ? tableError(run, 'Invalid argument') : body(run);
  if (status !== 0 && state.flavour === 'openbsd' && isReadOnly(options)) {
    for (const limit of OPENBSD_LIMITS) output.warn(`DIOCSETLIMIT (${limit}): Permission denied`);
  }
  return status;
}

/** A word like `em0:network` or `em0/24`, which is more than an interface's name. */
function findInterfaceModifier({ options, state, input }: Run): string | undefined {
  const names = Object.keys(state.interfaces).join('|');
  const words = [...options.operands, input?.ok === true ? input.text : ''].join('\n');
  return new RegExp(`(?:^|\\s)!*((?:${names})[:/]\\S*)`).exec(words)?.[1];
}

/** Whether pfctl opens /dev/pf for reading only. */
function isReadOnly({ command, flush, file, enable, disable }: Options): boolean {
  if (command !== undefined) return command === 'show' || command === 'test';
  return flush === undefined && file === undefined && !enable && !disable;
}

function showModifier(run: Run): number {
  const { options, output, state } = run;
  if (options.show === 'Tables') return showTables(run);
  if (options.show === 'memory' && state.flavour === 'freebsd') return showMemory(run);
  if (options.show === 'info' && options.verbose === 0) return showInfo(run);
  if (options.show === 'rules' && options.verbose === 0) return showRules(run);
  return output.notImplemented(`-s ${options.show ?? ''}`);
}

/** How often the rules of other anchors refer to a table of the main ruleset. */
function foreignReferences(state: PfState, table: Table): number {
  if (table.anchor !== '') return 0;
  return Object.entries(state.references).filter(
    ([anchor, names]) => anchor !== '' && (names[table.name] ?? 0) > 0,
  ).length;
}

function ownReferences(state: PfState, table: Table): number {
  return state.references[table.anchor]?.[table.name] ?? 0;
}

function tableFlags(state: PfState, table: Table): string {
  return [
    table.constant ? 'c' : '-',
    table.persist ? 'p' : '-',
    'a-',
    ownReferences(state, table) > 0 ? 'r' : '-',
    foreignReferences(state, table) > 0 ? 'h' : '-',
    table.counters ? 'C' : '-',
  ].join('');
}

function showTables({ options, output, state }: Run): number {
  const tables = [...state.tables.values()].filter(({ anchor }) => anchor === options.anchor);
  tables.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const table of tables) {
    const suffix = state.flavour === 'openbsd' && table.anchor !== '' ? `@${table.anchor}` : '';
    const flags = options.verbose > 0 ? `${tableFlags(state, table)}\t` : '';
    output.stdout += `${flags}${table.name}${options.verbose > 0 ? suffix : ''}\n`;
    if (options.verbose > 1) output.stdout += tableDetails(state, table);
  }
  return 0;
}

function tableDetails(state: PfState, table: Table): string {
  const anchors = String(foreignReferences(state, table)).padEnd(18);
  const rules = String(ownReferences(state, table)).padEnd(18);
  const none: Traffic = [0, 0];
  const ways = ['In/Block', 'In/Pass', 'In/XPass', 'Out/Block', 'Out/Pass', 'Out/XPass'];
  return [
    `\tAddresses:   ${table.entries.size}\n`,
    `\tCleared:     ${ctime(table.cleared)}\n`,
    `\tReferences:  [ Anchors: ${anchors} Rules: ${rules} ]\n`,
    `\tEvaluations: [ NoMatch: ${'0'.padEnd(18)} Match: ${'0'.padEnd(18)} ]\n`,
    ...ways.map((way) => trafficLine(way, none)),
  ].join('');
}

function showMemory({ output, state }: Run): number {
  const limits = { states: 10_000, 'src-nodes': 10_000, frags: 5_000, 'table-entries': state.limit };
  for (const [name, limit] of Object.entries(limits)) {
    output.stdout += `${name.padEnd(13)} hard limit ${String(limit).padStart(8)}\n`;
  }
  return 0;
}

const IDLE_COUNTERS = [
  ...['bad-offset', 'fragment', 'short', 'normalize', 'memory', 'bad-timestamp', 'congestion', 'ip-option'],
  ...['proto-cksum', 'state-mismatch', 'state-insert', 'state-limit', 'src-limit', 'synproxy'],
];

const DEBUG_LEVEL = { freebsd: 'Urgent', openbsd: 'err' } as const;

function showInfo({ output, state }: Run): number {
  const { seconds, states, searches, inserts, removals, matches } = state.statistics;
  const time = new Date(seconds * 1000).toISOString().slice(11, 19);
  const since = `${Math.floor(seconds / 86_400)} days ${time}`;
  const line = (name: string, value: number, hasRate = seconds > 0): string => {
    const rate = hasRate ? `${(value / seconds).toFixed(1).padStart(15)}/s` : ' '.repeat(15);
    return `  ${name.padEnd(25)} ${String(value).padStart(14)}${rate}\n`;
  };
  output.stdout += [
    `${`Status: ${state.enabled ? 'Enabled' : 'Disabled'} for ${since}`.padEnd(45)} Debug: ${DEBUG_LEVEL[state.flavour]}\n\n`,
    `State Table                          Total             Rate\n`,
    line('current entries', states, false),
    line('searches', searches),
    line('inserts', inserts),
    line('removals', removals),
    'Counters\n',
    line('match', matches),
    ...IDLE_COUNTERS.map((name) => line(name, 0)),
  ].join('');
  return 0;
}

/** With `-a '*'` the rules in named anchors are shown, too; without it only those in anchors without a name. */
function showRules({ options, output, state }: Run): number {
  if (options.anchor !== '' && options.anchor !== '*') {
    output.stderr += `stand-in pfctl: not implemented: -s rules of anchor ${options.anchor}\n`;
    return EXIT_USAGE;
  }
  const isWhole = options.anchor === '*';
  let depth = 0;
  let hiddenFrom: number | undefined;
  for (const rule of state.rules) {
    if (rule === '}') depth--;
    const opens = rule.endsWith(' {');
    const hides = opens && !isWhole && rule.startsWith('anchor "');
    const text = hides ? rule.slice(0, -2) : rule;
    if (hiddenFrom === undefined) output.stdout += `${'  '.repeat(depth)}${text}\n`;
    else if (rule === '}' && depth === hiddenFrom) hiddenFrom = undefined;
    if (hides) hiddenFrom ??= depth;
    if (opens) depth++;
  }
  return 0;
}

/** Removes the tables that neither `persist` nor a rule keeps. */
function dropUnusedTables(state: PfState): void {
  for (const [key, table] of state.tables) {
    const isUsed = table.persist || ownReferences(state, table) > 0 || foreignReferences(state, table) > 0;
    if (!isUsed) state.tables.delete(key);
  }
}

function flushModifier(run: Run): number {
  const { options, output, state } = run;
  const isAll = options.flush === 'all';
  if ((!isAll && options.flush !== 'Tables') || options.noAction) {
    return output.notImplemented(`-F ${options.flush ?? ''}`);
  }
  const tell = (text: string): void => {
    if (!options.quiet) output.stderr += `${text}\n`;
  };
  if (isAll) {
    tell('rules cleared');
    tell('nat cleared');
    if (options.anchor === '') state.rules = [];
    state.references[options.anchor] = {};
  }
  const keys = [...state.tables].filter(([, { anchor }]) => anchor === options.anchor).map(([key]) => key);
  for (const key of keys) state.tables.delete(key);
  tell(`${keys.length} tables deleted.`);
  if (!isAll) return 0;
  dropUnusedTables(state);
  tell(`${state.statistics.states} states cleared`);
  tell('source tracking entries cleared');
  tell('pf: statistics cleared');
  tell('pf: interface flags reset');
  state.statistics = { seconds: 0, states: 0, searches: 0, inserts: 0, removals: 0, matches: 0 };
  return 0;
}

/** The words with which a line that the stand-in may skip begins; macros are recognised by their `=`. */
const RULE_WORDS = /^(set|scrub|pass|block|match|anchor|nat|rdr|binat|no|antispoof|table|\}|\w+\s*=)/;

/** A `table` line of a ruleset. */
interface TableDefinition {
  readonly name: string;
  readonly flags: { readonly persist: boolean; readonly constant: boolean; readonly counters: boolean };
  /** The words of its lists, or undefined if it has none and keeps what it holds. */
  readonly list: readonly string[] | undefined;
}

function parseTableLine(line: string): TableDefinition | undefined {
  const [, name, attributes = ''] = /^table\s*<([^>]+)>(.*)$/.exec(line) ?? [];
  if (name === undefined) return undefined;
  const lists = [...attributes.matchAll(/\{([^}]*)\}/g)].map(([, list = '']) => list);
  const words = attributes.replace(/\{[^}]*\}/g, ' ').split(/\s+/);
  return {
    name,
    flags: {
      persist: words.includes('persist'),
      constant: words.includes('const'),
      counters: words.includes('counters'),
    },
    list:
      lists.length === 0
        ? undefined
        : lists.flatMap((list) => list.split(/[\s,]+/).filter((word) => word !== '')),
  };
}

/** Loads a ruleset, as far as it concerns tables. */
function loadRuleset(run: Run): number {
  const { options, output, input } = run;
  const file = options.file ?? '';
  if (input?.ok !== true) {
    output.warn(`${file}: ${input?.error ?? ''}`);
    output.warn(`cannot open the main config file!: ${input?.error ?? ''}`);
    return EXIT_USAGE;
  }
  const { text } = input;
  if (text !== '' && options.verbose > 0) return output.notImplemented('-v with -f');
  const read = readRuleset(text, file, run.state.flavour);
  if (!read.ok) {
    output.stderr += read.stderr;
    if (!options.noAction) output.warn('Syntax error in config file: pf rules not loaded');
    return EXIT_USAGE;
  }
  const lines = read.lines.map((line) => line.text);
  const strange = lines.find((line) => !RULE_WORDS.test(line) || /^table\b.*\bfile\b/.test(line));
  if (strange !== undefined) return output.notImplemented(`the line ${strange}`);
  return options.noAction ? 0 : applyRuleset(run, lines);
}

function applyRuleset(run: Run, lines: readonly string[]): number {
  const { options, state } = run;
  const definitions = lines.flatMap((line) => parseTableLine(line) ?? []);
  const contents = definitions.map(({ list }) => list && parseList(run, list));
  if (contents.includes(null)) return EXIT_USAGE;
  const rules = lines.filter((line) => !line.startsWith('table'));
  state.references[options.anchor] = countReferences(rules);
  definitions.forEach((definition, index) => defineTable(run, definition, contents[index] ?? undefined));
  if (options.anchor === '') {
    state.limit = tableEntriesLimit(rules);
    writeFileSync(join(run.directory, 'loaded.json'), JSON.stringify(lines));
  }
  dropUnusedTables(state);
  return 0;
}

/** The addresses of a table's list, or null if one is wrong. */
function parseList(run: Run, words: readonly string[]): Address[] | null {
  const addresses: Address[] = [];
  return words.every((word) => appendAddress(run, word, addresses) === undefined) ? addresses : null;
}

function countReferences(rules: readonly string[]): Record<string, number> {
  const references: Record<string, number> = {};
  for (const rule of rules) {
    for (const [, name = ''] of rule.matchAll(/<([^>]+)>/g)) references[name] = (references[name] ?? 0) + 1;
  }
  return references;
}

function tableEntriesLimit(rules: readonly string[]): number {
  const limits = rules.flatMap((rule) => /^set\s+limit\b.*\btable-entries\s+(\d+)/.exec(rule)?.[1] ?? []);
  return Number(limits.at(-1) ?? DEFAULT_LIMIT);
}

/** A table without a list keeps its entries; one with a list is reset to it. */
function defineTable(run: Run, { name, flags }: TableDefinition, list: readonly Address[] | undefined): void {
  const { options, state } = run;
  const table =
    state.tables.get(tableKey(options.anchor, name)) ?? createTable(state, name, { anchor: options.anchor });
  Object.assign(table, flags);
  if (list !== undefined) replaceEntries(run, table, list);
}

function switchPf({ options, output, state }: Run, enable: boolean): number {
  if (options.noAction) return output.notImplemented('-n with -e or -d');
  if (state.enabled === enable) {
    output.warn(enable ? 'pf already enabled' : 'pf not enabled');
    return EXIT_USAGE;
  }
  state.enabled = enable;
  if (!options.quiet) output.stderr += enable ? 'pf enabled\n' : 'pf disabled\n';
  return 0;
}

/** Does what the options ask for, in pfctl's order, until something fails. */
function execute(run: Run): number {
  const { options } = run;
  const steps: [boolean, () => number][] = [
    [options.disable, () => switchPf(run, false)],
    [options.show !== undefined, () => showModifier(run)],
    [options.flush !== undefined, () => flushModifier(run)],
    [options.command !== undefined, () => tableCommand(run)],
    [options.command === undefined && options.file !== undefined, () => loadRuleset(run)],
    [options.enable, () => switchPf(run, true)],
  ];
  for (const [isAsked, step] of steps) {
    const status = isAsked ? step() : 0;
    if (status !== 0) return status;
  }
  return 0;
}

/** Opens the device and does the work; the state is written only if the command may change it. */
function perform(directory: string, options: Options, input: FileText, output: Output): number {
  const needsDevice = !options.noAction || options.command !== undefined;
  const readOnly = isReadOnly(options) || options.noAction;
  const body = (): number => {
    const state = readState(directory);
    const isOpen = state.device === 'read-write' || (state.device === 'read-only' && isReadOnly(options));
    if (needsDevice && !isOpen && !options.noAction) {
      output.warn('/dev/pf: Permission denied');
      return EXIT_USAGE;
    }
    if (state.flavour === 'freebsd' && !options.quiet && !options.noAction) {
      output.stderr += 'No ALTQ support in kernel\nALTQ related functions disabled\n';
    }
    const status = execute({ directory, options, state, input, output, syntaxOnly: needsDevice && !isOpen });
    if (!readOnly) writeState(directory, state);
    return status;
  };
  return readOnly ? body() : withLock(directory, body);
}

/** A fault that a test asked for, as `fault.json` holds it. */
interface StoredFault {
  readonly mode: string;
  readonly rc?: number;
  readonly stderr?: string;
  readonly ms?: number;
  readonly after?: string;
  readonly only?: string;
  readonly times?: number;
}

/** What a call without `-T` does: load rules, check them, or show something. */
function ruleCommand({ file, noAction, show }: Options): string | undefined {
  if (show !== undefined) return 'info';
  return file === undefined ? undefined : noAction ? 'check' : 'load';
}

/** Takes one use of the fault that concerns this call, if there is one. */
function takeFault(directory: string, command: string | undefined): StoredFault | undefined {
  const file = join(directory, 'fault.json');
  if (readFault(file) === undefined) return undefined;
  return withLock(directory, () => {
    const fault = readFault(file);
    if (fault === undefined || (fault.only !== undefined && fault.only !== command)) return undefined;
    if (fault.times === undefined) return fault;
    if (fault.times <= 1) unlinkSync(file);
    else writeFileSync(file, JSON.stringify({ ...fault, times: fault.times - 1 }));
    return fault.times < 1 ? undefined : fault;
  });
}

function readFault(file: string): StoredFault | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as StoredFault;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const LOGGED_LINES = 20;
const LOGGED_LINE_LENGTH = 400;
const SHELL_VARIABLES = new Set(['_', 'PWD', 'SHLVL', 'OLDPWD']);

/** Appends a call to `calls.ndjson`; a call that never returns has the status null. */
function logCall(
  directory: string,
  at: number,
  argv: readonly string[],
  input: FileText,
  rc: number | null,
): void {
  const text = input?.ok === true ? input.text : '';
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const call = {
    at,
    pid: process.pid,
    argv,
    stdinLines: lines.length,
    stdin: lines.slice(0, LOGGED_LINES).map((line) => line.slice(0, LOGGED_LINE_LENGTH)),
    rc,
    env: Object.keys(process.env).filter((name) => !SHELL_VARIABLES.has(name)).length,
  };
  appendFileSync(join(directory, 'calls.ndjson'), `${JSON.stringify(call)}\n`);
}

/** Writes all of a text, also to a pipe that is full for the moment. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      if (errorCode(error) === 'EPIPE') return;
      if (errorCode(error) !== 'EAGAIN') throw error;
      pause(1);
    }
  }
}

/** From now on SIGKILL does not help either, until the holder has ended. */
async function beHeld(directory: string): Promise<void> {
  const holder = spawn(
    process.execPath,
    [fileURLToPath(new URL('./holder.js', import.meta.url)), String(process.pid), directory],
    // it must not keep our pipes
    { stdio: ['ignore', 'pipe', 'ignore'], detached: true },
  );
  const [said] = (await once(holder.stdout, 'data')) as [Buffer];
  if (String(said) !== 'held\n') throw new Error(`the holder says ${String(said)}`);
  mkdirSync(join(directory, 'holders'), { recursive: true });
  writeFileSync(join(directory, 'holders', String(holder.pid)), '');
}

/** Never returns, and SIGTERM does not help. */
async function hang(): Promise<never> {
  for (;;) await delay(60_000);
}

/** The whole program; answers the exit status. */
async function main(directory: string, argv: readonly string[]): Promise<number> {
  const at = performance.timeOrigin + performance.now();
  const output = new Output();
  const options = parseOptions(argv, output);
  let input: FileText = undefined;
  const finish = (status: number): number => {
    logCall(directory, at, argv, input, status);
    writeAll(1, output.stdout);
    writeAll(2, output.stderr);
    return status;
  };
  if (typeof options === 'number') return finish(options);
  const fault = takeFault(directory, options.command ?? ruleCommand(options));
  if (fault?.mode === 'partial-stdin') return finish(EXIT_USAGE);
  const hangs = fault?.mode === 'hang' || fault?.mode === 'stuck';
  if (hangs) process.on('SIGTERM', () => undefined);
  const waiting = join(directory, 'waiting', String(process.pid));
  if (hangs || fault?.mode === 'slow') {
    mkdirSync(join(directory, 'waiting'), { recursive: true });
    writeFileSync(waiting, '');
  }
  input = readInput(options.file);
  if (fault?.mode === 'fail') {
    if (fault.stderr !== undefined) output.stderr += `${fault.stderr}\n`;
    return finish(fault.rc ?? EXIT_USAGE);
  }
  if (fault?.mode === 'slow') await delay(fault.ms ?? 0);
  if (fault?.mode === 'stuck') await beHeld(directory);
  const isCutShort = hangs || fault?.mode === 'kill';
  const status = isCutShort && fault.after !== 'apply' ? 0 : perform(directory, options, input, output);
  if (isCutShort) logCall(directory, at, argv, input, null);
  if (fault?.mode === 'kill') process.kill(process.pid, 'SIGKILL');
  if (isCutShort) return hang();
  if (fault?.mode === 'slow') rmSync(waiting, { force: true });
  return finish(status);
}

const [flag, directory, ...argv] = process.argv.slice(2);
if (flag !== '--state' || directory === undefined)
  throw new Error('the first argument must be --state DIRECTORY');
process.exitCode = await main(directory, argv);
