/** The table commands of the stand-in for pfctl: `-T add`, `delete`, `show` and the others. */
import {
  addressLine,
  ctime,
  EXIT_NO_MATCH,
  EXIT_TABLE_ERROR,
  EXIT_USAGE,
  type Feedback,
  noSuchTable,
  type Output,
  report,
  type Run,
  SLEEPS,
  tableError,
  trafficLine,
} from './pfctl-run.js';
import {
  createTable,
  formatPrefix,
  maskPrefix,
  nowSeconds,
  parseHost,
  parsePrefix,
  type Prefix,
  removeEntries,
  sortEntries,
  type Table,
  tableKey,
  type Traffic,
} from './pfctl-state.js';

const TABLE_NAME_SIZE = 32;
const TOKEN_SIZE = 256;

/** An address as given, with its `!`. */
export interface Address {
  readonly prefix: Prefix;
  readonly negated: boolean;
}

/** Adds what one word of the command line or of a file stands for; answers the error, if any. */
export function appendAddress(run: Run, word: string, addresses: Address[]): string | undefined {
  const { output, state, tongue } = run;
  // C strings end at a NUL.
  const text = word.split('\0', 1)[0] ?? '';
  const host = text.replace(/^!+/, '');
  const negated = (text.length - host.length) % 2 === 1;
  const parsed = parseHost(host, state.interfaces, tongue.addresses);
  if (!parsed.ok) {
    output.stderr += `${parsed.message}\n`;
    return tongue.noError;
  }
  for (const prefix of parsed.prefixes) addresses.push({ prefix, negated });
  return undefined;
}

/** The words of an address file; a `#` begins a comment only where a word may begin. */
function* fileWords(text: string, pattern: RegExp): Generator<string> {
  for (const [word] of text.matchAll(pattern)) if (!word.startsWith('#')) yield word;
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
  for (const word of fileWords(text, run.tongue.words)) {
    const error = word.length >= TOKEN_SIZE ? 'Invalid argument' : appendAddress(run, word, addresses);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** The lines of `-v` (entries that something happened to) and `-vv` (all). */
function printFeedback(run: Run, lines: readonly (readonly [Feedback, Address])[]): void {
  const { options, output, tongue } = run;
  if (options.verbose === 0) return;
  const shown = options.verbose > 1 ? [...lines] : lines.filter(([letter]) => letter !== ' ');
  if (tongue.lastFirst && options.command === 'add') shown.reverse();
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
  const limit = state.refusesBeyond ?? (state.enforceLimit ? state.limit : Number.POSITIVE_INFINITY);
  let total = count;
  for (const table of state.tables.values()) total += table.entries.size;
  return total > limit;
}

/** Makes the table of an `add` or `replace` that is missing; answers it, or the exit status to end with. */
function ensureTable(run: Run): Table | number {
  const { options, output, state, tongue } = run;
  const existing = findTable(run);
  if (existing !== undefined) return existing;
  const isShadow = options.anchor !== '' && state.tables.has(tableKey('', options.table ?? ''));
  if (isShadow && tongue.warnsOfShadow)
    output.warn(`warning: table <${options.table ?? ''}> already defined in anchor "/"`);
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
  const fresh = new Set<string>();
  const lines: (readonly [Feedback, Address])[] = [];
  const chunk = run.tongue.chunk ?? Math.max(1, addresses.length);
  for (let first = 0; first < addresses.length; first += chunk) {
    const part = addresses.slice(first, first + chunk);
    if (isOverLimit(run, part.length)) return beyondLimit(run);
    for (const address of part) lines.push([addOne(run, table, address, fresh), address]);
  }
  report(run, `${fresh.size}/${addresses.length} addresses added`);
  printFeedback(run, run.tongue.tellsChanges ? lines : lines.map(([, address]) => [' ', address] as const));
  return 0;
}

/** OpenBSD's pf waits for room, with the lock that every pfctl needs. */
function beyondLimit(run: Run): number {
  if (!run.tongue.sleepsAtLimit) return tableError(run, 'Cannot allocate memory');
  run.state.asleep = true;
  return SLEEPS;
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
export function replaceEntries(
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

function showCommand(run: Run): number {
  const { options, output } = run;
  if (options.operands.length > 0 || options.file !== undefined) return output.usage();
  const table = findTable(run);
  if (table === undefined) return noSuchTable(run);
  if (run.state.flavour === 'freebsd15' && table.entries.size > run.state.requestMaxcount)
    return tooManyToList(run);
  const lines: string[] = [];
  for (const text of sortEntries(table.entries.keys())) {
    lines.push(addressLine(run, ' ', text, table.negated.has(text)));
    if (options.verbose > 0) lines.push(entryDetails(run.tongue.trafficWays, table, text));
  }
  output.stdout += lines.join('');
  return 0;
}

function entryDetails(ways: readonly string[], table: Table, text: string): string {
  const cleared = `\tCleared:     ${ctime(table.entries.get(text) ?? 0)}\n`;
  const traffic = table.counters ? table.traffic.get(text) : undefined;
  if (traffic === undefined) return cleared;
  const counted: Readonly<Record<string, Traffic>> = {
    'In/Block': traffic.inBlock,
    'In/Pass': traffic.inPass,
    'Out/Block': traffic.outBlock,
    'Out/Pass': traffic.outPass,
  };
  return cleared + ways.map((way) => trafficLine(way, counted[way] ?? [0, 0])).join('');
}

function flushCommand(run: Run): number {
  const { options, output, tongue } = run;
  if (options.operands.length > 0 || options.file !== undefined) return output.usage();
  const table = findTable(run);
  if (table === undefined) {
    output.warn(tongue.flushOfMissing);
    return EXIT_TABLE_ERROR;
  }
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
  const { options, output, state, tongue } = run;
  const givesAddresses = options.operands.length > 0 || options.file !== undefined;
  if (givesAddresses) return tongue.zeroesAddresses ? zeroAddresses(run) : output.usage();
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

/** Does what `-T` asks for. @returns exit status */
export function tableCommand(run: Run): number {
  const { options, output, state, tongue } = run;
  const { table, command = '' } = options;
  if (table === undefined || table.length >= TABLE_NAME_SIZE) return output.usage();
  const body = COMMANDS[command];
  if (body === undefined) return output.notImplemented(`-T ${command}`);
  const qualified = findInterfaceModifier(run);
  if (qualified !== undefined) return output.notImplemented(`the address ${qualified}`);
  const isUntold = !tongue.tellsChanges && ['delete', 'replace', 'zero', 'expire'].includes(command);
  if (isUntold && options.verbose > 0) return output.notImplemented(`-v with -T ${command}`);
  if (table === '') {
    output.warn(tongue.emptyName);
    return EXIT_TABLE_ERROR;
  }
  const status = body(run);
  if (status !== 0 && state.restoresLimits && (command === 'show' || command === 'test')) {
    for (const limit of OPENBSD_LIMITS) output.warn(`DIOCSETLIMIT (${limit}): Permission denied`);
  }
  return status;
}

/** FreeBSD 15 lists no more entries than net.pf.request_maxcount. */
function tooManyToList({ options, output }: Run): number {
  const name = options.table ?? '';
  if (options.verbose > 0) {
    output.stderr += `cannot get astats from ${name}: too many elements.\nConsider increasing net.pf.request_maxcount.`;
  }
  output.warn('Anchor does not exist.');
  return EXIT_TABLE_ERROR;
}

/** A word like `em0:network` or `em0/24`, which is more than an interface's name. */
function findInterfaceModifier({ options, state, input }: Run): string | undefined {
  const names = Object.keys(state.interfaces).join('|');
  const words = [...options.operands, input?.ok === true ? input.text : ''].join('\n');
  return new RegExp(`(?:^|\\s)!*((?:${names})[:/]\\S*)`).exec(words)?.[1];
}
