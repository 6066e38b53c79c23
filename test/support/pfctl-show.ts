/** What the stand-in for pfctl shows of pf with `-s`. */
import { ctime, EXIT_USAGE, foreignReferences, ownReferences, type Run, trafficLine } from './pfctl-run.js';
import type { PfState, Table, Traffic } from './pfctl-state.js';

const SHOWERS: Readonly<Record<string, (run: Run) => number>> = {
  Tables: showTables,
  memory: showMemory,
  info: showInfo,
  rules: showRules,
  timeouts: showTimeouts,
  Interfaces: showInterfaces,
  Anchors: showAnchors,
  Running: showRunning,
  nat: showTranslations,
  // none of these are known
  labels: showNothing,
  states: showNothing,
};

/** Does what `-s` asks for. @returns exit status */
export function showModifier(run: Run): number {
  const { options, output, state } = run;
  const shower = SHOWERS[options.show ?? ''];
  const hasStates = options.show === 'states' && state.statistics.states > 0;
  return shower === undefined || hasStates ? output.notImplemented(`-s ${options.show ?? ''}`) : shower(run);
}

function showTranslations({ output, state }: Run): number {
  output.stdout += state.translations.map((line) => `${line}\n`).join('');
  return 0;
}

function showNothing(): number {
  return 0;
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

function showTables({ options, output, state, tongue }: Run): number {
  // "*" are the tables of the main ruleset
  const anchor = options.anchor === '*' ? '' : options.anchor;
  const tables = [...state.tables.values()].filter((table) => table.anchor === anchor);
  tables.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const table of tables) {
    const suffix = tongue.namesAnchor && table.anchor !== '' ? `@${table.anchor}` : '';
    const flags = options.verbose > 0 ? `${tableFlags(state, table)}\t` : '';
    output.stdout += `${flags}${table.name}${suffix}\n`;
    if (options.verbose > 1) output.stdout += tableDetails({ state, tongue }, table);
  }
  return 0;
}

function tableDetails({ state, tongue }: Pick<Run, 'state' | 'tongue'>, table: Table): string {
  const foreign = foreignReferences(state, table);
  const own = ownReferences(state, table);
  const cell = (value: number): string => String(value).padEnd(18);
  const counts = tongue.countsReferences
    ? { addresses: own + foreign, anchors: 0, rules: 0 }
    : { addresses: table.entries.size, anchors: foreign, rules: own };
  const traffic = [...table.traffic.values()];
  const sum = (way: 'inPass' | 'outPass'): Traffic => [
    traffic.reduce((total, counters) => total + counters[way][0], 0),
    traffic.reduce((total, counters) => total + counters[way][1], 0),
  ];
  const counted: Readonly<Record<string, Traffic>> = { 'In/Pass': sum('inPass'), 'Out/Pass': sum('outPass') };
  const ways = tongue.trafficWays.flatMap((way) =>
    way.endsWith('/Pass') ? [way, way.replace('/', '/X')] : [way],
  );
  return [
    `\tAddresses:   ${counts.addresses}\n`,
    `\tCleared:     ${ctime(table.cleared)}\n`,
    `\tReferences:  [ Anchors: ${cell(counts.anchors)} Rules: ${cell(counts.rules)} ]\n`,
    `\tEvaluations: [ NoMatch: ${cell(0)} Match: ${cell(traffic.length)} ]\n`,
    ...ways.map((way) => trafficLine(way, counted[way] ?? [0, 0])),
  ].join('');
}

function showMemory({ output, state, tongue }: Run): number {
  for (const [name, limit] of tongue.limits) {
    output.stdout += `${name.padEnd(13)} hard limit ${String(limit ?? state.limit).padStart(8)}\n`;
  }
  return 0;
}

function showTimeouts({ output, tongue }: Run): number {
  output.stdout += tongue.timeouts.map((line) => `${line}\n`).join('');
  return 0;
}

function showInterfaces({ options, output, state }: Run): number {
  for (const name of state.kernelInterfaces) {
    if (options.interfaceName !== undefined && name !== options.interfaceName) continue;
    const isSkipped = options.verbose > 0 && isSkippedInterface(state, name);
    output.stdout += `${name}${isSkipped ? ' (skip)' : ''}\n`;
  }
  return 0;
}

/** `set skip on lo` is about the group and each of its interfaces. */
function isSkippedInterface({ skipped }: PfState, name: string): boolean {
  return skipped.includes(name) || skipped.includes(name.replace(/\d+$/, ''));
}

function showAnchors({ output, state }: Run): number {
  const anchors = Object.keys(state.references).filter((anchor) => anchor !== '');
  output.stdout += anchors
    .sort()
    .map((anchor) => `  ${anchor}\n`)
    .join('');
  return 0;
}

function showRunning({ output, state }: Run): number {
  output.stdout += state.enabled ? 'Enabled\n' : 'Disabled\n';
  return state.enabled ? 0 : EXIT_USAGE;
}

const INTERFACE_STATS = `Interface Stats for none              IPv4             IPv6
  Bytes In                               0                0
  Bytes Out                              0                0
  Packets In
    Passed                               0                0
    Blocked                              0                0
  Packets Out
    Passed                               0                0
    Blocked                              0                0

`;

function showInfo({ options, output, state, tongue }: Run): number {
  const { seconds, states, searches, inserts, removals, matches, others = {} } = state.statistics;
  const time = new Date(seconds * 1000).toISOString().slice(11, 19);
  const since = `${Math.floor(seconds / 86_400)} days ${time}`;
  const line = (name: string, value: number, hasRate = seconds > 0): string => {
    const rate = hasRate ? `${(value / seconds).toFixed(1).padStart(15)}/s` : ' '.repeat(15);
    return `  ${name.padEnd(25)} ${String(value).padStart(14)}${rate}\n`;
  };
  const counter = (name: string): string => line(name, others[name] ?? 0);
  const changes = (searched: number, inserted: number, removed: number): string =>
    line('searches', searched) + line('inserts', inserted) + line('removals', removed);
  const isVerbose = options.verbose > 0;
  const status = `Status: ${state.enabled ? 'Enabled' : 'Disabled'} for ${since}`;
  output.stdout += [
    `${status.padEnd(tongue.debugColumn)} Debug: ${tongue.debugLevel}\n\n`,
    isVerbose ? `Hostid:   ${state.hostId}\nChecksum: ${state.checksum}\n\n` : '',
    tongue.hasInterfaceStats ? INTERFACE_STATS : '',
    'State Table                          Total             Rate\n',
    line('current entries', states, false),
    ...tongue.stateCounters.map((name) => line(name, 0, false)),
    changes(searches, inserts, removals),
    ...(isVerbose ? tongue.moreTables : []).map(
      (name) => `${name}\n${line('current entries', 0, false)}${changes(0, 0, 0)}`,
    ),
    'Counters\n',
    line('match', matches),
    ...tongue.idleCounters.map(counter),
    isVerbose ? `Limit Counters\n${tongue.limitCounters.map(counter).join('')}${tongue.afterCounters}` : '',
  ].join('');
  return 0;
}

/** A rule; with -v its counters, with -vv its number and its table's size, too. */
function ruleLines({ options, state, tongue }: Run, text: string, number: number | undefined): string {
  if (options.verbose === 0 || number === undefined) return `${text}\n`;
  const sized = text.replace(
    /<([^>]+)>/g,
    (_, name: string) => `<${name}:${state.tables.get(`/${name}`)?.entries.size ?? 0}>`,
  );
  const evaluations = String(state.evaluations[number] ?? 0).padEnd(9);
  const details = [
    `  [ Evaluations: ${evaluations} Packets: 0         Bytes: 0           States: 0     ]`,
    ...tongue.ruleDetails.map((detail) => detail.replace('PID', String(state.rulesPid))),
    ...(options.verbose > 1 ? tongue.moreRuleDetails : []),
  ];
  const first = options.verbose > 1 ? `@${number} ${sized}` : text;
  return [first, ...details].map((line) => `${line}\n`).join('');
}

/** With `-a '*'` the rules in named anchors are shown, too; without it only those in anchors without a name. */
function showRules(run: Run): number {
  const { options, output, state } = run;
  if (options.anchor !== '' && options.anchor !== '*') {
    output.stderr += `stand-in pfctl: not implemented: -s rules of anchor ${options.anchor}\n`;
    return EXIT_USAGE;
  }
  const isWhole = options.anchor === '*';
  let depth = 0;
  let hiddenFrom: number | undefined;
  let number = 0;
  for (const rule of state.rules) {
    if (rule === '}') depth--;
    const opens = rule.endsWith(' {');
    const hides = opens && !isWhole && rule.startsWith('anchor "');
    const text = hides ? rule.slice(0, -2) : rule;
    if (hiddenFrom === undefined) {
      const isEnd = rule === '}';
      output.stdout += ruleLines(run, `${'  '.repeat(depth)}${text}`, isEnd ? undefined : number++);
    } else if (rule === '}' && depth === hiddenFrom) hiddenFrom = undefined;
    if (hides) hiddenFrom ??= depth;
    if (opens) depth++;
  }
  return 0;
}
