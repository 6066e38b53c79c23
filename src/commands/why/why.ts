// `mxallowd why`.
import type { Given } from '../../config/config.js';
import { formatProblem } from '../../config/problem.js';
import { ask, type Answer } from '../../control/client.js';
import { type Address, formatAddress, parseAddress } from '../../packet/address.js';
import { escapeText } from '../../packet/escape.js';
import { Exit } from '../../sysexits.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from '../arguments.js';
import { JSON_OPTION, printLines, wantsJson } from '../ask-daemon.js';
import type { Command } from '../command.js';
import { loadConfig, type LoadedConfig, printProblems } from '../../process/load-config.js';
import { locateSocket } from '../locate-socket.js';
import { formatRows, type Row } from '../../terminal/table.js';
import { whyRows } from './daemon.js';
import { type Finding, findingRows, findOut } from './dns.js';

const OPTIONS: readonly ExtraOption[] = [{ name: 'no-dns', help: 'only what the daemon knows' }, JSON_OPTION];

/**
 * `mxallowd why ADDRESS`: what the daemon knows of an address, then what DNS says about it, step by step, and what the
 * daemon would make of it.
 */
export const command: Command = {
  text: 'Says what the daemon knows of an address, what DNS says, and what follows.',
  words: 'ADDRESS',
  optionSet: 'all',
  shown: ['config', 'controlSocket', 'dnsServer'],
  options: OPTIONS,
  run,
};

const TITLE_WIDTH = 26;

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'all', OPTIONS);
  const [text, ...more] = wordsOf(argv).slice(1);
  const address = text === undefined ? undefined : parseAddress(text);
  if (address === undefined || more.length > 0) {
    const shown = [text ?? '', ...more].join(' ');
    problems.push({
      where: '',
      kind: 'usage',
      message:
        shown === ''
          ? 'why needs an address: mxallowd why ADDRESS'
          : more.length > 0
            ? `why takes one address, not "${escapeText(shown, 60)}"`
            : `"${escapeText(shown, 60)}" is not an IPv4 or IPv6 address`,
    });
  }
  const loaded = loadConfig(given, problems);
  const wrong = loaded.ok ? problems : loaded.problems;
  if (address === undefined || problems.length > 0 || wrong.some(({ where }) => where.startsWith('-'))) {
    printProblems(wrong);
    return Exit.USAGE;
  }
  const answer = await askDaemon(given, address);
  const report = wantsJson(argv) ? new JsonReport() : new TextReport(loaded.ok && loaded.config.dryRun);
  report.begin(address, answer);
  const status =
    argv['no-dns'] === true ? statusOf(answer) : await askDns(loaded, address, answer.ok, report.found);
  report.end();
  return status;
}

async function askDaemon(given: readonly Given[], address: Address): Promise<Answer<'why'>> {
  const socket = locateSocket(given, [], process.platform);
  if (!socket.ok) {
    const message = socket.problems.map(formatProblem).join('; ');
    return { ok: false, exitStatus: socket.exitStatus, message };
  }
  return ask<'why'>({ path: socket.path, request: { command: 'why', address: formatAddress(address) } });
}

function statusOf(answer: Answer<'why'>): number {
  return answer.ok ? Exit.OK : answer.exitStatus;
}

/**
 * @param hasAnswer - whether the daemon has said something, so that a configuration is no must
 * @returns exit status
 */
async function askDns(
  loaded: LoadedConfig,
  address: Address,
  hasAnswer: boolean,
  found: (finding: Finding) => void,
): Promise<number> {
  if (!loaded.ok) {
    printProblems(loaded.problems);
    if (hasAnswer) process.stderr.write('mxallowd: so DNS is not asked\n');
    return hasAnswer ? Exit.OK : loaded.exitStatus;
  }
  let isKnown = true;
  for await (const finding of findOut(loaded.config, address)) {
    if (finding.step === 'failed' || (finding.step === 'list' && finding.answer === 'failed'))
      isKnown = false;
    found(finding);
  }
  return isKnown ? Exit.OK : Exit.UNAVAILABLE;
}

/** For people; each step is printed as soon as it is known. */
class TextReport {
  /** @param isDry - nobody is refused for now */
  constructor(private readonly isDry: boolean) {}

  /** between what the daemon knows and the rest */
  private hasGap = false;

  begin(address: Address, answer: Answer<'why'>): void {
    const what: Row[] = answer.ok ? whyRows(answer.result) : [['daemon', answer.message]];
    this.print([['address', formatAddress(address)], ...what]);
    this.hasGap = !answer.ok;
  }

  readonly found = (finding: Finding): void => {
    if (!this.hasGap) printLines(['']);
    this.hasGap = true;
    this.print(findingRows(finding, this.isDry));
  };

  end(): void {
    // everything is printed
  }

  private print(rows: readonly Row[]): void {
    printLines(formatRows(rows, TITLE_WIDTH));
  }
}

/** For programs: one object. */
class JsonReport {
  private report: Readonly<Record<string, unknown>> = {};
  private readonly findings: Finding[] = [];

  begin(address: Address, answer: Answer<'why'>): void {
    const daemon = answer.ok ? { daemon: answer.result } : { daemonProblem: answer.message };
    this.report = { address: formatAddress(address), ...daemon };
  }

  readonly found = (finding: Finding): void => void this.findings.push(finding);

  end(): void {
    printLines([JSON.stringify({ ...this.report, dns: this.findings })]);
  }
}
