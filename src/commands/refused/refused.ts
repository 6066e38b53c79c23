// `mxallowd refused`.
import type { Problem } from '../../config/problem.js';
import { OPTION_LIST, OPTIONS } from '../../config/options.js';
import { duration } from '../../config/values.js';
import { ask } from '../../control/client.js';
import type { RefusedSender } from '../../control/protocol.js';
import { Exit } from '../../sysexits.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import {
  extraValue,
  noWords,
  printAskProblem,
  printLines,
  socketOrStatus,
  wantsJson,
} from '../ask-daemon.js';
import type { Command } from '../command.js';
import { localTime } from '../../terminal/human.js';
import { LineOutput } from '../../terminal/output.js';
import { outputWidth } from '../../terminal/table.js';
import { loadLargeSenders } from './large-senders.js';
import { suggestions } from './suggest.js';
import { refusedTable } from './table.js';

const OPTIONS_OF_REFUSED: readonly ExtraOption[] = [
  { name: 'since', value: 'TIME', help: 'only who was refused within this time, as 1d' },
  { name: 'lost', help: 'only those who have not got in since' },
  { name: 'suggest', help: 'print lines for the configuration, commented out' },
  { name: 'json', help: 'print JSON, an object a line: senders, then domains' },
];

/** `mxallowd refused`: who was refused, and what became of it. */
export const command: Command = {
  text: 'Lists who was refused at the real MX: how often, since when, who it is, and\nwhether it has got in since.',
  words: '',
  optionSet: 'client',
  options: OPTIONS_OF_REFUSED,
  run,
};

/** Asking DNS for names may take some seconds. */
const SILENCE_MS = 20_000;

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'client', OPTIONS_OF_REFUSED);
  noWords(argv, problems);
  const sinceSeconds = extraValue(argv, 'since', duration(), problems);
  const [isSuggesting, isLost] = [argv['suggest'] === true, argv['lost'] === true];
  if (isSuggesting && wantsJson(argv)) {
    const message = 'prints lines for a configuration file, not JSON';
    problems.push({ where: '--suggest', kind: 'usage', message } satisfies Problem);
  }
  const path = socketOrStatus(given, problems);
  if (typeof path === 'number') return path;
  const senders: RefusedSender[] = [];
  const answer = await ask<'refused'>({
    path,
    request: { command: 'refused', ...(sinceSeconds !== undefined && { sinceSeconds }) },
    onItem: (sender) => void senders.push(sender),
    silenceMs: SILENCE_MS,
  });
  if (!answer.ok) return printAskProblem(answer);
  const { domains, dryRun } = answer.result;
  const shown = isLost ? senders.filter(({ isIn }) => isIn === 'no') : senders;
  const shownDomains = isLost ? domains.filter(({ isIn }) => !isIn) : domains;
  if (wantsJson(argv)) {
    const output = new LineOutput(process.stdout);
    for (const one of [...shown, ...shownDomains]) await output.line(JSON.stringify(one));
    await output.flush();
    return Exit.OK;
  }
  const lines = isSuggesting
    ? suggestions(senders, domains, {
        now: localTime(Date.now()),
        file: given.findLast(({ key }) => key === 'config')?.text ?? OPTIONS.config.defaultText ?? '',
        isDry: dryRun,
        largeSenders: loadLargeSenders(OPTION_LIST.map(([, { name }]) => name)),
      })
    : refusedTable(shown, shownDomains, dryRun, outputWidth(process.stdout.columns, process.env));
  printLines(lines);
  return Exit.OK;
}
