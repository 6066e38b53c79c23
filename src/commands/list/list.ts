// `mxallowd list`.
import type { Problem } from '../../config/problem.js';
import { type Check, oneOf } from '../../config/values.js';
import { LISTED_ORIGINS, type ListedOrigin } from '../../control/answers.js';
import { ask } from '../../control/client.js';
import type { ListedEntry } from '../../control/protocol.js';
import { Exit } from '../../sysexits.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import {
  extraValue,
  prefixesOf,
  printAskProblem,
  printLines,
  socketOrStatus,
  wantsJson,
} from '../ask-daemon.js';
import type { Command } from '../command.js';
import { inOrder, isSelected, type OrderName, ORDERS, type Selection } from './select.js';
import { entryTable } from './table.js';
import { LineOutput } from '../../terminal/output.js';
import { outputWidth } from '../../terminal/table.js';

const ORIGIN_NAMES = Object.keys(LISTED_ORIGINS) as ListedOrigin[];
const ORDER_NAMES = Object.keys(ORDERS) as OrderName[];

const OPTIONS: readonly ExtraOption[] = [
  { name: 'origin', value: 'LIST', help: `only these, with commas: ${ORIGIN_NAMES.join(', ')}` },
  { name: 'used', help: 'only those that have reached the real MX' },
  { name: 'unused', help: 'only those that have not' },
  { name: 'name', value: 'PART', help: 'only those with this in their name' },
  { name: 'sort', value: 'ORDER', help: `by ${ORDER_NAMES.join(', ')} (default: address)` },
  { name: 'json', help: 'print JSON, an object a line, unsorted unless told' },
];

/** `mxallowd list [ADDRESS|NETWORK...]`: the whitelist. */
export const command: Command = {
  text: 'Lists the whitelist: all, or what lies in a network or around an address.',
  words: '[ADDRESS|NETWORK]...',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'client', OPTIONS);
  const selection = selectionOf(argv, problems);
  const order = extraValue(argv, 'sort', oneOf(ORDER_NAMES), problems);
  const path = socketOrStatus(given, problems);
  if (typeof path === 'number') return path;
  const isStream = wantsJson(argv) && order === undefined;
  const output = new LineOutput(process.stdout);
  const kept: ListedEntry[] = [];
  const onItem = (entry: ListedEntry): Promise<void> | undefined => {
    if (!isSelected(entry, selection)) return undefined;
    if (isStream) return output.line(JSON.stringify(entry));
    kept.push(entry);
    return undefined;
  };
  const answer = await ask<'list'>({ path, request: { command: 'list' }, onItem });
  // what has come is true, whatever became of the rest
  if (isStream) await output.flush();
  if (!answer.ok) return printAskProblem(answer);
  const sorted = inOrder(kept, order ?? 'address');
  if (!wantsJson(argv)) {
    printLines(entryTable(sorted, answer.result.count, outputWidth(process.stdout.columns, process.env)));
  } else if (!isStream) {
    for (const entry of sorted) await output.line(JSON.stringify(entry));
    await output.flush();
  }
  return Exit.OK;
}

function selectionOf(argv: ParsedArguments, problems: Problem[]): Selection {
  const [used, unused] = [argv['used'] === true, argv['unused'] === true];
  if (used && unused) {
    problems.push({ where: '--unused', kind: 'usage', message: 'nothing is both used and unused' });
  }
  return {
    networks: prefixesOf(argv, problems),
    origins: extraValue(argv, 'origin', originList, problems),
    used: used === unused ? undefined : used,
    namePart: extraValue(argv, 'name', anyPart, problems),
  };
}

const originList: Check<readonly ListedOrigin[]> = (text) => {
  const words = text.split(',').map(oneOf(ORIGIN_NAMES));
  const good = words.flatMap((word) => (word.ok ? [word.value] : []));
  const expected = `a list such as attempt,pool of ${ORIGIN_NAMES.join(', ')}`;
  return good.length === words.length ? { ok: true, value: good } : { ok: false, expected };
};

const anyPart: Check<string> = (text) =>
  text === '' ? { ok: false, expected: 'part of a name' } : { ok: true, value: text };
