import { isIPv4, isIPv6 } from 'node:net';

/** Whose pfctl reads the rules. */
export type System = 'OpenBSD' | 'FreeBSD';

interface Statement {
  line: number;
  /** Without comment, blanks collapsed, macros not yet expanded. */
  text: string;
}

/** One rule, macros expanded. */
export interface Rule {
  line: number;
  action: 'pass' | 'block return' | 'block drop';
  table: string | undefined;
  interfaceName: string;
  destinations: string[];
  port: string;
}

/** What the rules have to do. */
export interface Expected {
  fake: string[];
  real: string[];
  interfaceName: string | undefined;
  table: string;
  ports: string[];
  /** What becomes of a stranger at the real MX. */
  stranger: Rule['action'];
}

/** What has been read, and what is wrong with it. */
export interface Reading {
  faults: string[];
  macros: Map<string, string>;
  tables: Set<string>;
  rules: Rule[];
}

function withoutComment(line: string): string {
  const code = /^(?:[^"#]|"[^"]*(?:"|$))*/.exec(line)?.[0] ?? '';
  return code.replace(/\s+/g, ' ').trim();
}

/** The statements, one a line; a backslash at the end of a line joins the next one to it. */
export function statementsOf(text: string): Statement[] {
  return text
    .replace(/^([^#\n]*)\\\n/gm, '$1 ')
    .split('\n')
    .map((line, index) => ({ line: index + 1, text: withoutComment(line) }))
    .filter((statement) => statement.text !== '');
}

/** What one system's pfctl rejects, or takes in another sense than the file means. */
const forbidden: Record<System, [RegExp, string][]> = {
  OpenBSD: [
    [/^(no )?scrub\b/, 'scrub is not a statement'],
    [/^(no )?(nat|rdr|binat)(-anchor)?\b/, 'translation is an option of a rule'],
    [/^altq\b/, 'altq is gone'],
    [/^set require-order\b/, 'set require-order is gone'],
  ],
  FreeBSD: [
    [/^match\b/, 'match is not known'],
    [/\bonce\b/, 'once is not known'],
    [/\b(nat|rdr)-to\b/, 'nat-to and rdr-to are not known'],
    [/\begress\b/, 'there is no group egress'],
    [/^set reassemble\b/, 'set reassemble is not known'],
  ],
};

const forbiddenOnBoth: [RegExp, string][] = [
  [/\blog-all\b/, 'log-all is now log (all)'],
  [/^include [^"]/, 'a path must be quoted'],
  [/^table [^<]/, 'a table name needs <>'],
  [/\blog \(to (?!pflog\d+\))/, 'a log interface must be a pflog interface'],
];

function reassembles(system: System, statement: string, mxInterface: string | undefined): boolean {
  if (system === 'OpenBSD') return statement === 'set reassemble yes';
  return mxInterface !== undefined && statement === `scrub in on ${mxInterface} all fragment reassemble`;
}

/** FreeBSD's pfctl insists on this order; macros and tables may stand anywhere. */
function rank(statement: string): number | undefined {
  if (/^set\b/.test(statement)) return 0;
  if (/^(no )?scrub\b/.test(statement)) return 1;
  if (/^(pass|block)\b/.test(statement)) return 2;
  return undefined;
}

const rulePattern =
  /^(pass|block return|block drop) in log(?: \(to pflog\d+\))? quick on (\S+) proto tcp(?: from <([^>]+)>)? to (\{ [^{}]+ \}|\S+) port (\S+)$/;

function isBalanced(text: string): boolean {
  const closing: Record<string, string> = { ')': '(', '}': '{', ']': '[', '>': '<' };
  const open: string[] = [];
  for (const character of text) {
    if ('({[<'.includes(character)) open.push(character);
    const opening = closing[character];
    if (opening !== undefined && open.pop() !== opening) return false;
  }
  return open.length === 0;
}

/**
 * Reads rules as one system would; `faults` is empty when nothing is wrong with them.
 * @param expected - what they have to do; without it that is read from the macros of examples/pf.conf
 */
export function readRules(text: string, system: System, expected?: Expected): Reading {
  const faults: string[] = [];
  const macros = new Map<string, string>();
  const used = new Set<string>();
  const tables = new Set<string>();
  const rules: Rule[] = [];

  if (!text.endsWith('\n')) faults.push('the last line does not end in a newline');
  for (const [index, line] of text.split('\n').entries()) {
    if (line.length > 80) faults.push(`${index + 1}: wider than 80 columns`);
    if (!/^[\x20-\x7e]*$/.test(line)) faults.push(`${index + 1}: not plain ASCII`);
    if (/^#.*\\\s*$/.test(line)) faults.push(`${index + 1}: a backslash joins the next line`);
    if (/\s$/.test(line)) faults.push(`${index + 1}: blank at the end`);
  }

  let reached = 0;
  let reassembled = false;
  for (const { line, text: statement } of statementsOf(text)) {
    const fault = (message: string): void => void faults.push(`${line}: ${message}`);
    if ((statement.match(/"/g)?.length ?? 0) % 2 !== 0) fault('a quote is not closed');
    if (!isBalanced(statement)) fault('brackets do not pair');

    const macro = /^([A-Za-z]\w*) = "([^"]*)"$/.exec(statement);
    if (macro?.[1] !== undefined && macro[2] !== undefined) {
      if (macro[2].includes('$')) fault('a macro is not expanded inside quotes');
      if (macros.has(macro[1])) fault(`macro ${macro[1]} is defined twice`);
      macros.set(macro[1], macro[2]);
      continue;
    }

    const expanded = statement.replace(/\$(\w+)/g, (whole, name: string) => {
      used.add(name);
      const value = macros.get(name);
      if (value === undefined) fault(`macro ${name} is not defined before its use`);
      return value ?? whole;
    });
    if (!isBalanced(expanded)) fault('brackets do not pair once macros are expanded');
    for (const [pattern, message] of [...forbidden[system], ...forbiddenOnBoth]) {
      if (pattern.test(expanded)) fault(message);
    }

    const table = /^table <([\w-]+)>(.*)$/.exec(expanded);
    if (table?.[1] !== undefined) {
      if (table[1].length > 31) fault('a table name has at most 31 characters');
      if (!/^ persist( counters)?$/.test(table[2] ?? '')) fault('the table must be persist and have no list');
      tables.add(table[1]);
      continue;
    }
    for (const [, name] of expanded.matchAll(/<([^>]*)>/g)) {
      if (name === undefined || !tables.has(name)) fault(`table <${name}> is not declared before its use`);
    }

    const place = rank(expanded);
    if (place === undefined) {
      fault(`neither macro, table, option, scrub nor rule: ${statement}`);
      continue;
    }
    if (system === 'FreeBSD' && place < reached) fault('FreeBSD wants options, scrub, rules in this order');
    reached = Math.max(reached, place);
    if (reassembles(system, expanded, expected?.interfaceName ?? macros.get('mx_if'))) reassembled = true;
    if (place < 2) continue;

    if (!reassembled) fault('a rule comes before fragments are reassembled');
    const rule = rulePattern.exec(expanded);
    const [, action, interfaceName, from, to, port] = rule ?? [];
    if (action === undefined || interfaceName === undefined || to === undefined || port === undefined) {
      fault('the rule does not have the form ACTION in log quick on IF proto tcp [from <T>] to A port P');
      continue;
    }
    const destinations = to.replace(/[{},]/g, ' ').trim().split(/\s+/);
    for (const destination of destinations) {
      if (!isIPv4(destination) && !isIPv6(destination)) fault(`${destination} is not an address`);
    }
    rules.push({ line, action: action as Rule['action'], table: from, interfaceName, destinations, port });
  }
  for (const name of macros.keys()) if (!used.has(name)) faults.push(`macro ${name} is not used`);
  faults.push(...verdictFaults(expected ?? expectedOf(macros), rules));
  return { faults, macros, tables, rules };
}

/** The addresses of a macro. */
export function addressesOf(macros: Map<string, string>, name: string): string[] {
  return (macros.get(name) ?? '').replace(/[{},]/g, ' ').trim().split(/\s+/).filter(Boolean);
}

function expectedOf(macros: Map<string, string>): Expected {
  return {
    fake: addressesOf(macros, 'mx_fake'),
    real: addressesOf(macros, 'mx_real'),
    interfaceName: macros.get('mx_if'),
    table: 'mx-white',
    ports: ['smtp', '25'],
    stranger: 'block drop',
  };
}

/** First match decides, as every rule is quick; undefined: no rule matches. */
function verdict(rules: Rule[], destination: string, listed: boolean): Rule['action'] | undefined {
  return rules.find((rule) => rule.destinations.includes(destination) && (rule.table === undefined || listed))
    ?.action;
}

function verdictFaults(expected: Expected, rules: Rule[]): string[] {
  const faults: string[] = [];
  const expectations: ['fake' | 'real', boolean, Rule['action']][] = [
    ['fake', false, 'block return'],
    ['fake', true, 'block return'],
    ['real', false, expected.stranger],
    ['real', true, 'pass'],
  ];
  for (const name of ['fake', 'real'] as const) {
    const addresses = expected[name];
    if (!addresses.some((address) => isIPv4(address))) faults.push(`mx_${name} has no IPv4 address`);
    if (!addresses.some((address) => isIPv6(address))) faults.push(`mx_${name} has no IPv6 address`);
    for (const address of addresses) {
      if (!/^(192\.0\.2\.|2001:db8:)/.test(address)) faults.push(`${address} is no documentation address`);
    }
  }
  for (const [name, listed, action] of expectations) {
    for (const address of expected[name]) {
      const actual = verdict(rules, address, listed);
      if (actual !== action) {
        const who = listed ? 'a listed source' : 'a stranger';
        faults.push(`${who} to ${address}: ${actual ?? 'no rule'}, not ${action}`);
      }
    }
  }
  for (const rule of rules) {
    if (rule.interfaceName !== expected.interfaceName) faults.push(`${rule.line}: not on $mx_if`);
    if (!expected.ports.includes(rule.port)) faults.push(`${rule.line}: another port than smtp`);
    const isOpen = rule.action === 'pass' && rule.table === undefined && expected.stranger === 'pass';
    if (!isOpen && (rule.action === 'pass') !== (rule.table === expected.table)) {
      faults.push(`${rule.line}: only pass, and every pass, is from <${expected.table}>`);
    }
  }
  return faults;
}
