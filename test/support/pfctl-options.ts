/** The command line of the stand-in for pfctl: getopt(3), and names that may be abbreviated. */
import { EXIT_USAGE, type Output } from './pfctl-run.js';
import type { Tongue } from './pfctl-tongue.js';

const IMPLEMENTED_OPTIONS = 'adeFfginqrstTv';

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
const FLUSH_MODIFIERS = [
  'nat',
  'queue',
  'rules',
  'Sources',
  'states',
  'info',
  'Tables',
  'osfp',
  'all',
  'Reset',
];

/** Command line options after getopt(3); a name that was abbreviated is complete. */
export interface Options {
  readonly anchor: string;
  readonly table: string | undefined;
  readonly command: string | undefined;
  readonly file: string | undefined;
  readonly show: string | undefined;
  readonly flush: string | undefined;
  /** the one interface that `-s Interfaces` shows */
  readonly interfaceName: string | undefined;
  readonly operands: readonly string[];
  readonly verbose: number;
  readonly quiet: boolean;
  readonly noAction: boolean;
  readonly resolve: boolean;
  readonly disable: boolean;
  readonly enable: boolean;
}

interface RawOptions {
  readonly letters: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** Splits a command line the way getopt(3) does: it stops at the first operand. */
function getopt(argv: readonly string[], output: Output, tongue: Tongue): RawOptions | undefined {
  const letters = new Map<string, string[]>();
  let index = 0;
  for (; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (argument === '--') return { letters, operands: argv.slice(index + 1) };
    if (argument === '-' || !argument.startsWith('-')) break;
    for (let at = 1; at < argument.length; at++) {
      const letter = argument.charAt(at);
      let value = '';
      if (tongue.withArgument.includes(letter)) {
        const rest = argument.slice(at + 1);
        at = argument.length;
        const next = rest === '' ? argv[++index] : rest;
        if (next === undefined) return badOption(`option requires an argument -- ${letter}`, output);
        value = next;
      } else if (!tongue.withoutArgument.includes(letter)) {
        return badOption(`${tongue.unknownOption} -- ${letter}`, output);
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
export function parseOptions(argv: readonly string[], output: Output, tongue: Tongue): Options | number {
  if (argv.length === 0) return output.usage();
  const raw = getopt(argv, output, tongue);
  if (raw === undefined) return EXIT_USAGE;
  const { letters, operands } = raw;
  if (letters.has('h')) return output.usage();
  const command = lookup(raw, 'T', TABLE_COMMANDS, 'table command', output);
  const show = lookup(raw, 's', tongue.showModifiers, 'show modifier', output);
  const flush = lookup(raw, 'F', FLUSH_MODIFIERS, 'flush modifier', output);
  if (command === null || show === null || flush === null) return EXIT_USAGE;
  const unknown = [...letters.keys()].find((letter) => !IMPLEMENTED_OPTIONS.includes(letter));
  if (unknown !== undefined) return output.notImplemented(`option -${unknown}`);
  if (command === undefined && letters.has('t')) return output.usage();
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
    interfaceName: letters.get('i')?.at(-1),
    operands,
    verbose: letters.get('v')?.length ?? 0,
    quiet: letters.has('q'),
    noAction: letters.has('n'),
    resolve: letters.has('r'),
    disable: letters.has('d'),
    enable: letters.has('e'),
  };
}
