// `mxallowd watch`.
import { hostname } from 'node:os';
import { ask } from '../../control/client.js';
import type { WatchTick } from '../../control/protocol.js';
import { printable } from '../../packet/escape.js';
import { collectOptions, type ExtraOption, type ParsedArguments } from '../arguments.js';
import { DAEMON_ENDED, noWords, printAskProblem, socketOrStatus, wantsJson } from '../ask-daemon.js';
import type { Command } from '../command.js';
import { LiveScreen } from '../../terminal/live-screen.js';
import { LineOutput } from '../../terminal/output.js';
import { Terminal } from '../../terminal/terminal.js';
import { WatchFeed } from './feed.js';
import { watchLine, watchTitles } from './line.js';
import { WatchModel } from './model.js';

const OPTIONS: readonly ExtraOption[] = [
  { name: 'json', help: 'print JSON, an object each second, for programs' },
];

/** `mxallowd watch`: what happens, second by second. */
export const command: Command = {
  text: 'Shows what happens, second by second: rates, who is refused most, newest events.\nq ends it. Where there is no terminal it prints a line each second.',
  words: '',
  optionSet: 'client',
  options: OPTIONS,
  run,
};

async function run(argv: ParsedArguments): Promise<number> {
  const { given, problems } = collectOptions(argv, 'client', OPTIONS);
  noWords(argv, problems);
  const path = socketOrStatus(given, problems);
  if (typeof path === 'number') return path;
  if (wantsJson(argv)) return follow(path, (tick) => JSON.stringify(tick));
  if (hasScreen()) {
    const terminal = new Terminal(process.stdin, process.stdout, (process.env['NO_COLOR'] ?? '') === '');
    const screen = new LiveScreen(terminal);
    return screen.run(new WatchFeed(screen, path, printable(hostname())));
  }
  const model = new WatchModel();
  return follow(path, (tick) => watchLine(model.add(tick)), watchTitles);
}

/**
 * Prints a line for each tick.
 * @param titles - a line above the first one, and again when it is another one
 * @returns exit status, when the daemon says no more
 */
async function follow(
  path: string,
  text: (tick: WatchTick) => string,
  titles?: (tick: WatchTick) => string,
): Promise<number> {
  const output = new LineOutput(process.stdout);
  let above: string | undefined;
  const onItem = async (tick: WatchTick): Promise<void> => {
    const title = titles?.(tick);
    if (title !== undefined && title !== above) await output.line(title);
    above = title;
    await output.line(text(tick));
    await output.flush();
  };
  const answer = await ask<'watch'>({ path, request: { command: 'watch' }, onItem });
  return printAskProblem(answer.ok ? DAEMON_ENDED : answer);
}

function hasScreen(): boolean {
  const kind = process.env['TERM'] ?? '';
  return process.stdout.isTTY && kind !== '' && kind !== 'dumb';
}
