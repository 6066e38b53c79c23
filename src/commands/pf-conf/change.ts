// Shows what pf-conf is going to change, and changes it.
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { escapeText } from '../../packet/escape.js';
import { carryOut, type Change, hints, type Outcome } from '../../pf/install.js';
import { changesNothing } from '../../pf/plan.js';
import { Ruleset } from '../../pf/ruleset.js';
import { Exit } from '../../sysexits.js';
import { askYesNo } from '../../terminal/ask.js';
import type { Wish } from './options.js';

/** What somebody who changes pf's files should know, or has asked for. */
export interface ChangeRequest {
  readonly wish: Wish;
  /** absolute path */
  readonly pfctl: string;
  /** from now on only who is in this table gets in; empty: no such change */
  readonly table: string;
}

const MOST_OF_A_LINE = 2000;

/** Prints a message to standard error. */
export function say(text: string): void {
  process.stderr.write(`mxallowd: ${escapeText(text, MOST_OF_A_LINE)}\n`);
}

/**
 * Shows a change, asks, and carries it out.
 * @returns the exit status
 */
export async function changeFiles(change: Change, { wish, pfctl, table }: ChangeRequest): Promise<number> {
  const ruleset = new Ruleset(pfctl);
  const state = await ruleset.state();
  if (!state.ok) {
    for (const line of [`pf does not answer: ${state.message}`, ...hints(state)]) say(line);
    return state.failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
  }
  const isIdle = changesNothing(change);
  if (isIdle) process.stdout.write(`${idleText(wish)}\n`);
  if (isIdle && wish.act === 'uninstall') return Exit.OK;
  for (const line of shownChange(change, wish)) process.stdout.write(`${line}\n`);
  if (table !== '' && !isIdle && !(await ruleset.hasEntries(table))) {
    say(`warning: <${table}> is empty: who comes to the real MX gets no answer until he has tried`);
    say('the fake one. Look first what that means for your mail: --learn, and docs/pf.md');
  }
  const asked = wish.yes ? 'yes' : await askYesNo(isIdle ? 'Load the rules again?' : 'Write and load this?');
  if (asked === 'nobody' && isIdle) return Exit.OK;
  if (asked === 'nobody') {
    say('nothing has been changed: without a terminal to ask on this needs --yes');
    return Exit.USAGE;
  }
  if (asked === 'no') {
    say('nothing has been changed');
    return Exit.OK;
  }
  const outcome = await undisturbed(() => carryOut(change, ruleset));
  for (const line of outcome.lines) {
    if (outcome.status === Exit.OK) process.stdout.write(`${escapeText(line, MOST_OF_A_LINE)}\n`);
    else say(line);
  }
  if (outcome.status === Exit.OK && !state.isEnabled) sayDisabled(wish);
  return outcome.status;
}

function idleText({ act, main, rules }: Wish): string {
  return act === 'install'
    ? `${main} and ${rules} are as they should be`
    : `${main} does not include ${rules}, and there is no such file: nothing to do`;
}

/** As `diff -u` shows a change. */
const PATCH_FORMAT = { context: 3, headerOptions: FILE_HEADERS_ONLY };

function shownChange({ before, after }: Change, { main, rules }: Wish): string[] {
  const files = [
    { path: main, from: before.main, to: after.main },
    { path: rules, from: before.rules, to: after.rules },
  ];
  return files.flatMap(({ path, from, to }) => {
    if (from === to) return [];
    const nameOf = (text: string | undefined): string => (text === undefined ? '/dev/null' : path);
    const texts = [from ?? '', to ?? ''] as const;
    const patch = createTwoFilesPatch(nameOf(from), nameOf(to), ...texts, undefined, undefined, PATCH_FORMAT);
    return patch.split('\n').slice(0, -1).map(shownLine);
  });
}

/** A line of a file, with nothing that a terminal could take for a command. */
function shownLine(line: string): string {
  return line
    .split(/([\t\\])/)
    .map((part, index) => (index % 2 === 1 ? part : escapeText(part, MOST_OF_A_LINE)))
    .join('');
}

/** A signal must not leave half of the work: pfctl gets it as well, fails, and the files go back. */
async function undisturbed(work: () => Promise<Outcome>): Promise<Outcome> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const ignore = (): void => undefined;
  for (const signal of signals) process.on(signal, ignore);
  try {
    return await work();
  } finally {
    for (const signal of signals) process.off(signal, ignore);
  }
}

function sayDisabled({ system }: Wish): void {
  say('pf is disabled: until it is enabled no rule has any effect. To enable it:');
  say(
    system === 'openbsd'
      ? 'pfctl -e; rcctl enable pf (for the next boot)'
      : 'sysrc pf_enable=YES pflog_enable=YES; service pflog start; service pf start',
  );
}
