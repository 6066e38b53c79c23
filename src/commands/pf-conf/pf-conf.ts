// `mxallowd pf-conf`.
import { statSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { resolve } from 'node:path';
import { defaultValue, type Given } from '../../config/config.js';
import { formatProblem, type Problem } from '../../config/problem.js';
import { type Address, familyOf } from '../../packet/address.js';
import {
  EGRESS,
  interfacesWith,
  logInterfaceProblem,
  rulesSpec,
  type RulesSpec,
  rdrText,
  rulesText,
} from '../../pf/conf.js';
import { readBytes, targetOf } from '../../pf/files.js';
import { type Change, systemFailure } from '../../pf/install.js';
import { type Files, type Plan, planInstall, planUninstall } from '../../pf/plan.js';
import { Exit } from '../../sysexits.js';
import type { ParsedArguments } from '../arguments.js';
import type { Command } from '../command.js';
import { loadConfig, printProblems } from '../../process/load-config.js';
import { PF_CONF_OPTIONS, readWish, type Wish } from './options.js';
import { say } from '../show-change.js';
import { changeFiles } from './change.js';

/** `mxallowd pf-conf`: prints pf's rules for the configuration, or installs them, or takes them out again. */
export const command: Command = {
  text: "Prints pf's rules for the configuration, or installs them, or takes them out.",
  words: '',
  optionSet: 'all',
  shown: ['config', 'fakeMailserver', 'realMailserver', 'strangers', 'table', 'anchor', 'pflogInterface'],
  options: PF_CONF_OPTIONS,
  run,
};

async function run(argv: ParsedArguments): Promise<number> {
  const { wish, given, problems } = readWish(argv, process.platform, release());
  if (wish === undefined || problems.length > 0) {
    printProblems(problems);
    return Exit.USAGE;
  }
  if (wish.act === 'uninstall') {
    return planAndChange(wish, pfctlOf(given, wish), '', (files) => planUninstall(placeOf(wish), files));
  }
  const loaded = loadConfig(given, [], wish.system);
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  for (const remark of loaded.remarks) say(`warning: ${formatProblem(remark)}`);
  const { config } = loaded;
  const { system, learns, spamd, knowsRdrTo } = wish;
  // nothing installs rules that need "rdr" elsewhere
  const isByHand = !knowsRdrTo && config.strangers.kind === 'redirect' && !learns;
  const command = wish.command.filter((word) => word !== '--install' || !isByHand);
  const interfaces = interfacesFor(wish, [...config.realMailserver, ...config.fakeMailserver]);
  const spec = rulesSpec(config, { system, interfaces, learns, spamd, knowsRdrTo, command });
  const wrong = specProblems(spec, wish);
  if (wrong.length > 0) {
    printProblems(wrong);
    return wrong.some(({ kind }) => kind === 'usage') ? Exit.USAGE : Exit.CONFIG;
  }
  for (const text of adviceOnSpec(spec)) say(`warning: ${text}`);
  if (wish.act === 'print') {
    process.stdout.write(wish.rdr ? rdrText(spec) : rulesText(spec, { table: false, reassembly: false }));
    return Exit.OK;
  }
  return planAndChange(wish, config.pfctl, spec.learns ? '' : spec.table, (files) =>
    planInstall(spec, placeOf(wish), files, readInclude),
  );
}

/** An included file; what cannot be read, or is no file, counts as unknown. */
function readInclude(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? readBytes(path) : undefined;
  } catch {
    return undefined;
  }
}

function placeOf({ main, rules }: Wish): { file: string; rules: string } {
  return { file: main, rules: resolve(rules) };
}

/** The table must have entries, if one is named: otherwise the administrator hears what that means. */
async function planAndChange(
  wish: Wish,
  pfctl: string,
  table: string,
  plan: (files: Files) => Plan,
): Promise<number> {
  let planned: Plan & Pick<Change, 'main' | 'rules'>;
  try {
    const [main, rules] = [targetOf(wish.main), targetOf(wish.rules)];
    const text = readBytes(main);
    if (text === undefined) {
      say(`${wish.main}: there is no such file`);
      return Exit.NOINPUT;
    }
    planned = { ...plan({ main: text, rules: readBytes(rules) }), main, rules };
  } catch (error) {
    const { status, lines } = systemFailure(error);
    for (const line of lines) say(line);
    return status;
  }
  if (!planned.ok) {
    for (const reason of planned.reasons) say(reason);
    say('nothing has been changed');
    return Exit.DATAERR;
  }
  for (const text of planned.advice) say(`warning: ${text}`);
  return changeFiles({ ...planned, includedAs: resolve(wish.rules) }, { wish, pfctl, table });
}

/** An uninstallation must not depend on a configuration file. */
function pfctlOf(given: readonly Given[], wish: Wish): string {
  const loaded = loadConfig(given, [], wish.system);
  if (loaded.ok) return loaded.config.pfctl;
  return given.findLast(({ key }) => key === 'pfctl')?.text ?? defaultValue('pfctl') ?? '';
}

function interfacesFor({ interfaces, system }: Wish, addresses: readonly Address[]): readonly string[] {
  if (interfaces.length > 0) return interfaces;
  if (system === 'openbsd') return [EGRESS];
  return process.platform === system ? interfacesWith(addresses, networkInterfaces()) : [];
}

function specProblems(spec: RulesSpec, wish: Wish): Problem[] {
  const problems: Problem[] = [];
  const log = logInterfaceProblem(spec.logInterface);
  if (log !== undefined) problems.push({ where: '', kind: 'config', message: log });
  if (spec.interfaces.length === 0) {
    const why =
      process.platform === wish.system
        ? 'no interface here has an address of the MX'
        : 'FreeBSD has no "egress"';
    problems.push({ where: '', kind: 'usage', message: `${why}: name where mail comes in, --interface IF` });
  }
  if (spec.anchor !== '' && wish.act === 'install') {
    const message =
      `the rules belong into the anchor "${spec.anchor}", which only you can load: ` +
      'print them (without --install) into its file';
    problems.push({ where: '', kind: 'config', message });
  }
  return [...problems, ...strangersProblems(spec, wish)];
}

/** What speaks against leading strangers elsewhere as it is asked for. */
function strangersProblems(spec: RulesSpec, wish: Wish): Problem[] {
  const { strangersPort, port, logInterface } = spec;
  const isOld = strangersPort !== undefined && !spec.knowsRdrTo;
  const problems: readonly (readonly [boolean, Problem['kind'], string])[] = [
    [
      strangersPort === port,
      'config',
      `strangers redirect ${port}: that is the port of the real MX itself; name another one`,
    ],
    [
      spec.spamd && wish.system !== 'openbsd',
      'usage',
      '--spamd is for OpenBSD; elsewhere strangers are led to a port of the real MX',
    ],
    [
      spec.spamd && strangersPort === undefined,
      'config',
      'for --spamd the line "strangers redirect 8025" is needed in mxallowd.conf: the port where spamd listens',
    ],
    [
      spec.spamd && logInterface === 'pflog0',
      'config',
      'spamlogd takes whom pf passes and logs to pflog0 for one who has delivered, strangers too: with --spamd set ' +
        'another log interface for mxallowd, as pflog-interface pflog1 (docs/strangers.md)',
    ],
    [wish.rdr && !isOld, 'usage', '--rdr is for FreeBSD before 15, and strangers redirect in mxallowd.conf'],
    [
      isOld && wish.act === 'install' && !wish.learns,
      'usage',
      'FreeBSD before 15 needs rdr lines ahead of its filter rules, which only you can place: print both files ' +
        '(--rdr prints those lines; docs/strangers.md)',
    ],
  ];
  return problems.flatMap(([isSo, kind, message]) => (isSo ? [{ where: '', kind, message }] : []));
}

function adviceOnSpec({ fake, real, logInterface, spamd, outbound }: RulesSpec): string[] {
  const families = (addresses: readonly Address[]): string =>
    [...new Set(addresses.map(familyOf))].sort().join();
  return [
    ...(families(fake) === families(real)
      ? []
      : ['the fake and the real MX have not the same address families: see docs/pf.md, DNS']),
    ...(logInterface === 'pflog0'
      ? []
      : [`what pf logs to ${logInterface} is lost unless it exists: docs/pf.md`]),
    ...(spamd && outbound
      ? [
          `spamlogd no longer hears of what the mail servers send: the rule for outbound logs to ${logInterface}`,
        ]
      : []),
  ];
}
