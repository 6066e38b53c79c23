// `mxallowd check`.
import { resolve } from 'node:path';
import { readMachine } from '../check/machine.js';
import type { CheckTimes } from '../check/probe.js';
import { runProbes } from '../check/probe.js';
import { PROBES } from '../check/probes.js';
import { exitStatusOf, formatFinding, formatSummary } from '../check/report.js';
import type { Problem } from '../config/problem.js';
import { formatProblem } from '../config/problem.js';
import { escapeText } from '../packet/escape.js';
import { finding } from '../pf/finding.js';
import { collectOptions, type ExtraOption, type ParsedArguments, wordsOf } from './arguments.js';
import type { Command } from './command.js';
import { loadConfig, printProblems } from '../process/load-config.js';

const PF_CONF = '/etc/pf.conf';

const OPTIONS: readonly ExtraOption[] = [
  {
    name: 'domain',
    value: 'NAME',
    help: 'domain whose MX records, MTA-STS and DANE are checked (repeatable)',
  },
  { name: 'pf-conf', value: 'PATH', help: 'the main file of pf', defaultText: PF_CONF },
  { name: 'json', help: 'print NDJSON: an object for each finding' },
];

const TIMES: CheckTimes = { childMs: 10_000, connectMs: 5000, greetingMs: 10_000, policyMs: 15_000 };

/** `mxallowd check`: tells what is wrong with a set-up, and changes nothing. */
export const command: Command = {
  text: 'Looks at addresses, firewall, listeners and DNS; changes nothing.\nExit status: 0 fine, 1 warnings, 2 errors.',
  words: '',
  optionSet: 'all',
  shown: ['config', 'fakeMailserver', 'realMailserver'],
  options: OPTIONS,
  run,
};

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'all', OPTIONS);
  for (const word of wordsOf(argv).slice(1)) {
    const message = `"${escapeText(word, 60)}" is not an option: a domain is named with --domain`;
    problems.push({ where: '', kind: 'usage', message });
  }
  const domains = readDomains(argv['domain'], problems);
  const loaded = loadConfig(given, problems);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  const machine = await readMachine(TIMES.childMs);
  const { config, path: configPath, remarks } = loaded;
  const pfConf = [argv['pf-conf'] ?? PF_CONF].flat().map(String).at(-1) ?? PF_CONF;
  const context = { config, configPath, domains, machine, pfConf: resolve(pfConf), times: TIMES };
  const findings = [
    ...remarks.map((remark) =>
      finding('warning', 'config-remark', `configuration: ${formatProblem(remark)}`),
    ),
    ...(await runProbes(PROBES, context)),
  ];
  const lines =
    argv['json'] === true
      ? findings.map((one) => JSON.stringify(one))
      : [...findings.flatMap(formatFinding), '', formatSummary(findings)];
  process.stdout.write(`${lines.join('\n')}\n`);
  return exitStatusOf(findings);
}

/** A name in DNS (RFC 1035 section 2.3.4), a single label too. */
const DOMAIN =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

function readDomains(given: unknown, problems: Problem[]): string[] {
  const texts = given === undefined ? [] : [given].flat().map(String);
  const names = texts.map((text) => text.replace(/\.$/, ''));
  for (const [index, name] of names.entries()) {
    if (DOMAIN.test(name)) continue;
    const message = `"${escapeText(texts[index] ?? '', 60)}" is not a domain name`;
    problems.push({ where: '--domain', kind: 'usage', message });
  }
  return names;
}
