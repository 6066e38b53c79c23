// Shows what pf-conf is going to change, and changes it.
import { escapeText } from '../../packet/escape.js';
import { carryOut, type Change, hints } from '../../pf/install.js';
import { changesNothing } from '../../pf/plan.js';
import { Ruleset } from '../../pf/ruleset.js';
import { Exit } from '../../sysexits.js';
import { askYesNo } from '../../terminal/ask.js';
import { MOST_OF_A_LINE, say, shownDifference, undisturbed } from '../show-change.js';
import type { Wish } from './options.js';

/** What somebody who changes pf's files should know, or has asked for. */
export interface ChangeRequest {
  readonly wish: Wish;
  /** absolute path */
  readonly pfctl: string;
  /** from now on only who is in this table gets in; empty: no such change */
  readonly table: string;
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

function shownChange({ before, after }: Change, { main, rules }: Wish): string[] {
  return [
    ...shownDifference(main, before.main, after.main),
    ...shownDifference(rules, before.rules, after.rules),
  ];
}

function sayDisabled({ system }: Wish): void {
  say('pf is disabled: until it is enabled no rule has any effect. To enable it:');
  say(
    system === 'openbsd'
      ? 'pfctl -e; rcctl enable pf (for the next boot)'
      : 'sysrc pf_enable=YES pflog_enable=YES; service pflog start; service pf start',
  );
}
