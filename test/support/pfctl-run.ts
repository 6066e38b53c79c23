/** What the parts of the stand-in for pfctl share: its output, one run of it, and forms of lines. */
import type { Options } from './pfctl-options.js';
import type { PfState, Table, Traffic } from './pfctl-state.js';
import type { Tongue } from './pfctl-tongue.js';

export const EXIT_USAGE = 1;
export const EXIT_NO_MATCH = 2;
export const EXIT_TABLE_ERROR = 255;
/** No exit status: it sleeps in the kernel for good. */
export const SLEEPS = -1;

/** Collects what goes to stdout and stderr; one character is one byte, because pfctl echoes bytes it cannot read. */
export class Output {
  stdout = '';
  stderr = '';

  constructor(private readonly usageText: string) {}

  /** One line of stderr that begins with the program's name. */
  warn(text: string): void {
    this.stderr += `pfctl: ${text}\n`;
  }

  usage(): number {
    this.stderr += this.usageText;
    return EXIT_USAGE;
  }

  notImplemented(what: string): number {
    this.stderr += `stand-in pfctl: not implemented: ${what}\n`;
    return EXIT_USAGE;
  }
}

/** What reading the file of `-f` gave: its bytes, or the text of the error. */
export type FileText =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: string } | undefined;

/** One run of the program against one state. */
export interface Run {
  readonly directory: string;
  readonly options: Options;
  readonly state: PfState;
  readonly tongue: Tongue;
  readonly input: FileText;
  readonly output: Output;
  /** True with `-n` if /dev/pf could not be opened: nothing is asked of the kernel. */
  readonly syntaxOnly: boolean;
}

/** A result line, which goes to stderr. */
export function report({ options, output, syntaxOnly }: Run, text: string): void {
  if (options.quiet) return;
  const suffix = syntaxOnly ? ' (syntax only)' : options.noAction ? ' (dummy)' : '';
  output.stderr += `${text}${suffix}.\n`;
}

/** A table command's error as the kernel reports it. */
export function tableError({ tongue, output }: Run, text: string): number {
  output.warn(`${text}${tongue.dot}`);
  return EXIT_TABLE_ERROR;
}

export function noSuchTable(run: Run): number {
  return tableError(run, 'Table does not exist');
}

/** What a command did with one address, as the letter that `-v` prints. */
export type Feedback = ' ' | 'A' | 'D' | 'C' | 'M' | 'X' | 'Y' | 'Z';

export function addressLine(run: Run, letter: Feedback, text: string, negated: boolean, rest = ''): string {
  const name = run.options.resolve ? run.state.hosts[text] : undefined;
  return `${letter} ${negated ? '!' : ' '}${text}${rest}${name === undefined ? '' : `\t(${name})`}\n`;
}

const ctimeCache = new Map<number, string>();

/** A time as ctime(3) writes it, in the local zone. */
export function ctime(seconds: number): string {
  let text = ctimeCache.get(seconds);
  if (text === undefined) {
    const date = new Date(seconds * 1000);
    const [day = '', month = '', , year = ''] = date.toDateString().split(' ');
    text = `${day} ${month} ${String(date.getDate()).padStart(2)} ${date.toTimeString().slice(0, 8)} ${year}`;
    ctimeCache.set(seconds, text);
  }
  return text;
}

export function trafficLine(name: string, [packets, bytes]: Traffic): string {
  return `\t${`${name}:`.padEnd(12)} [ Packets: ${String(packets).padEnd(18)} Bytes: ${String(bytes).padEnd(18)} ]\n`;
}

/** How often the rules of other anchors refer to a table of the main ruleset. */
export function foreignReferences(state: PfState, table: Table): number {
  if (table.anchor !== '') return 0;
  return Object.entries(state.references).filter(
    ([anchor, names]) => anchor !== '' && (names[table.name] ?? 0) > 0,
  ).length;
}

export function ownReferences(state: PfState, table: Table): number {
  return state.references[table.anchor]?.[table.name] ?? 0;
}
