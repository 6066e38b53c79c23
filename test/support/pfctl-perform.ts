/** Does what the command line of the stand-in for pfctl asks for: shows, flushes, changes tables, loads rules. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Options, parseOptions } from './pfctl-options.js';
import { readRuleset } from './pfctl-rules.js';
import {
  EXIT_USAGE,
  type FileText,
  foreignReferences,
  Output,
  ownReferences,
  type Run,
  SLEEPS,
} from './pfctl-run.js';
import { showModifier } from './pfctl-show.js';
import {
  createTable,
  DEFAULT_LIMIT,
  type PfState,
  readFlavour,
  readState,
  tableKey,
  withLock,
  writeState,
} from './pfctl-state.js';
import { type Address, appendAddress, replaceEntries, tableCommand } from './pfctl-tables.js';
import { tongueOf } from './pfctl-tongue.js';

/** Whether pfctl opens /dev/pf for reading only. */
function isReadOnly({ command, flush, file, enable, disable }: Options): boolean {
  if (command !== undefined) return command === 'show' || command === 'test';
  return flush === undefined && file === undefined && !enable && !disable;
}

/** Removes the tables that neither `persist` nor a rule keeps. */
function dropUnusedTables(state: PfState): void {
  for (const [key, table] of state.tables) {
    const isUsed = table.persist || ownReferences(state, table) > 0 || foreignReferences(state, table) > 0;
    if (!isUsed) state.tables.delete(key);
  }
}

function flushModifier(run: Run): number {
  const { options, output, state, tongue } = run;
  const { flush = '', anchor } = options;
  const tell = (text: string): void => {
    if (!options.quiet) output.stderr += `${text}\n`;
  };
  const flushRules = (): void => {
    tell('rules cleared');
    if (flush === 'all' && !tongue.flushesTablesFirst) tell('nat cleared');
    if (anchor === '') state.rules = [];
    state.references[anchor] = {};
  };
  const flushTables = (): void => {
    const keys = [...state.tables].filter(([, table]) => table.anchor === anchor).map(([key]) => key);
    for (const key of keys) state.tables.delete(key);
    tell(`${keys.length} tables deleted.`);
  };
  const flushRest = (): void => {
    dropUnusedTables(state);
    tell(`${state.statistics.states} states cleared`);
    tell('source tracking entries cleared');
    tell('pf: statistics cleared');
    tell('pf: interface flags reset');
    state.statistics = { seconds: 0, states: 0, searches: 0, inserts: 0, removals: 0, matches: 0 };
  };
  const first = tongue.flushesTablesFirst ? [flushTables, flushRules] : [flushRules, flushTables];
  const steps: Readonly<Record<string, readonly (() => void)[]>> = {
    all: [...first, flushRest],
    rules: [flushRules],
    Tables: [flushTables],
    Reset: [() => tell('pf: interface flags reset')],
  };
  const asked = options.noAction ? undefined : steps[flush];
  if (asked === undefined) return output.notImplemented(`-F ${flush}`);
  for (const step of asked) step();
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
  const { options, output, input, tongue } = run;
  const file = options.file === '-' ? 'stdin' : (options.file ?? '');
  if (input?.ok !== true) {
    output.warn(tongue.noMainFile.replace('FILE', file).replace('ERROR', input?.error ?? ''));
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
    state.skipped = skippedInterfaces(rules);
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

function skippedInterfaces(rules: readonly string[]): string[] {
  return rules.flatMap((rule) => {
    const names = /^set skip on (.*)$/.exec(rule)?.[1] ?? '';
    return names.replace(/[{},]/g, ' ').trim().split(/\s+/).filter(Boolean);
  });
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

/**
 * Opens the device and does the work; the state is written only if the command may change it.
 * @returns exit status, or {@link SLEEPS}
 */
export function perform(directory: string, options: Options, input: FileText, output: Output): number {
  const needsDevice = !options.noAction || options.command !== undefined;
  const readOnly = isReadOnly(options) || options.noAction;
  const body = (): number => {
    const state = readState(directory);
    const tongue = tongueOf(state.flavour);
    const isOpen = state.device === 'read-write' || (state.device === 'read-only' && isReadOnly(options));
    if (needsDevice && !isOpen && !options.noAction) {
      output.warn('/dev/pf: Permission denied');
      return EXIT_USAGE;
    }
    if (state.asleep && needsDevice) return SLEEPS;
    const tellsAltq = { 'not-quiet': !options.quiet, verbose: options.verbose > 0, never: false }[
      tongue.altq
    ];
    if (tellsAltq && !options.noAction) {
      output.stderr += 'No ALTQ support in kernel\nALTQ related functions disabled\n';
    }
    const syntaxOnly = needsDevice && !isOpen;
    const status = execute({ directory, options, state, tongue, input, output, syntaxOnly });
    if (!readOnly) writeState(directory, state);
    return status;
  };
  return readOnly ? body() : withLock(directory, body);
}

/** How a run within this process ended. */
export interface PerformedRun {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/**
 * Runs the stand-in within this process: says and does what the program does, but has no faults and writes no log.
 * @param input - what the file of `-f` has, or why it cannot be read
 */
export function performHere(directory: string, argv: readonly string[], input: FileText): PerformedRun {
  const tongue = tongueOf(readFlavour(directory));
  const output = new Output(tongue.usage);
  const options = parseOptions(argv, output, tongue);
  const run = (asked: Options): number =>
    perform(directory, asked, asked.file === undefined ? undefined : input, output);
  const status = typeof options === 'number' ? options : run(options);
  return { stdout: output.stdout, stderr: output.stderr, status };
}
