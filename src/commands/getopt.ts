// What 1.9's getopt_long(3) takes of a command line and yargs does not. Pure.
import { parseArgs } from 'node:util';
import { OPTION_LIST } from '../config/options.js';

/** The long options of 1.9, which getopt_long let people shorten. */
const NAMES_OF_1_9 = [
  'fake-mailserver',
  'real-mailserver',
  'whitelist-time',
  'no-rdns-whitelist',
  'config',
  'foreground',
  'stdout',
  'quiet',
  'queue-num',
  'pflog-interface',
  'pcap-filter',
  'help',
];

/** Options of single commands that are the beginning of such a name as well, with the command: `allow --for`. */
const NOT_SHORTENED: ReadonlyMap<string, string> = new Map([['for', 'allow']]);

/** For parseArgs: which options have a value, by name, by letter, and by a name of 1.9 cut short. */
const FLAGS: Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string }> = {};
/** Whole names by what is left of them. */
const WHOLE = new Map<string, string>();

for (const [, { name, letters = [], value }] of OPTION_LIST) {
  const type = value === undefined ? 'boolean' : 'string';
  FLAGS[name] = { type };
  for (const short of letters) FLAGS[`-${short}`] = { type, short };
}
for (const name of NAMES_OF_1_9) {
  for (let length = 1; length < name.length; length++) {
    const short = name.slice(0, length);
    const isOneOfMany = NAMES_OF_1_9.some((other) => other !== name && other.startsWith(short));
    if (isOneOfMany || FLAGS[short] !== undefined) continue;
    WHOLE.set(short, name);
    FLAGS[short] = { type: FLAGS[name]?.type ?? 'boolean' };
  }
}

/**
 * Rewrites what getopt_long(3) takes and yargs does not: `-f192.0.2.3`, `-Fqt60`, and long names of 1.9 cut short. A
 * command comes first, where yargs looks for it: behind a switch it would be taken for that one's value.
 * @param args - the command line after the program's name
 * @param commands - the names of all commands
 */
export function expandGetopt(args: readonly string[], commands: readonly string[] = []): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const { tokens } = parseArgs({
    args: args.slice(0, end),
    options: FLAGS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const command = tokens.find((token) => token.kind === 'positional' && commands.includes(token.value));
  const inOrder = command === undefined ? tokens : [command, ...tokens.filter((token) => token !== command)];
  return [...inOrder.flatMap((token) => piecesOf(token, words)), ...args.slice(end)];
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];

/** @param words - what is no option, nor the value of one */
function piecesOf(token: Token, words: readonly string[]): string[] {
  if (token.kind === 'positional') return [token.value];
  if (token.kind !== 'option') return [];
  const { name, rawName, value, inlineValue } = token;
  const isLong = rawName.startsWith('--');
  const command = NOT_SHORTENED.get(name);
  const isWhole = !isLong || (command !== undefined && words.includes(command));
  const flag = isWhole ? rawName : `--${WHOLE.get(name) ?? name}`;
  if (value === undefined) return [flag];
  if (isLong) return inlineValue ? [`${flag}=${value}`] : [flag, value];
  return [flag, inlineValue ? value.replace(/^=/, '') : value];
}
