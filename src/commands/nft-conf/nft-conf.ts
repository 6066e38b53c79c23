// `mxallowd nft-conf`.
import { systemClock } from '../../clock.js';
import { defaultValue, type Given } from '../../config/config.js';
import { formatProblem } from '../../config/problem.js';
import { fileText, markOf, modeOfFile, offText, tableText } from '../../nft/conf.js';
import { changeTable, type FileChange, type NftChange, statusOfNft } from '../../nft/install.js';
import { lookAtTable } from '../../nft/kernel.js';
import { compareTables, type ListedTable, readTable } from '../../nft/listing.js';
import { markText } from '../../nft/mark.js';
import { OLD_TABLE } from '../../nft/old-rules.js';
import { type NftSpec, nftSpec } from '../../nft/spec.js';
import { escapeText } from '../../packet/escape.js';
import { readBytes, targetOf } from '../../pf/files.js';
import { systemFailure } from '../../pf/install.js';
import { loadConfig, printProblems } from '../../process/load-config.js';
import { Exit } from '../../sysexits.js';
import { NftProgram } from '../../table/nft-program.js';
import { NFT_TABLE } from '../../table/nft-sets.js';
import { askYesNo } from '../../terminal/ask.js';
import type { ParsedArguments } from '../arguments.js';
import type { Command } from '../command.js';
import { MOST_OF_A_LINE, say, shownDifference, undisturbed } from '../show-change.js';
import { bootLines, includerOf } from './boot.js';
import { findOldRules, isClean, type OldRules } from './old.js';
import { NFT_CONF_OPTIONS, type NftWish, readNftWish } from './options.js';

/** `mxallowd nft-conf`: prints the table for the configuration, or installs it, or takes it out again. */
export const command: Command = {
  text: "Prints nftables' rules for the configuration, or installs them, or takes them out.",
  words: '',
  optionSet: 'all',
  shown: ['config', 'fakeMailserver', 'realMailserver', 'nft', 'nftRules', 'nftHook', 'nftPriority'],
  options: NFT_CONF_OPTIONS,
  run,
};

/** For a call with few elements; more get more. */
const NFT_TIMEOUT_MS = 30_000;

async function run(argv: ParsedArguments): Promise<number> {
  const { wish, given, problems } = readNftWish(argv);
  if (wish === undefined || problems.length > 0) {
    printProblems(problems);
    return Exit.USAGE;
  }
  try {
    return wish.act === 'print' || wish.act === 'install'
      ? await withConfig(wish, given)
      : await takeAway(wish, given);
  } catch (error) {
    const { status, lines } = systemFailure(error);
    for (const line of lines) say(line);
    return status;
  }
}

async function withConfig(wish: NftWish, given: readonly Given[]): Promise<number> {
  const isNamed = given.some(({ key }) => key === 'firewall');
  const firewall: Given = { key: 'firewall', text: 'nft', where: '--firewall', origin: 'command line' };
  // the table can be looked at before the configuration says that it is used
  const loaded = loadConfig(isNamed ? given : [...given, firewall], [], 'linux');
  if (!loaded.ok) {
    printProblems(loaded.problems);
    return loaded.exitStatus;
  }
  const { config } = loaded;
  const spec = nftSpec(config, wish.learns ? 'learn' : 'live');
  const text = fileText(spec, wish.command);
  if (wish.act === 'print') {
    process.stdout.write(text);
    return Exit.OK;
  }
  for (const remark of loaded.remarks) {
    if (!remark.message.endsWith('here nftables decides')) say(`warning: ${formatProblem(remark)}`);
  }
  const own = loadConfig(given, [], 'linux');
  if (own.ok && own.config.firewall !== 'nft') {
    say(
      `warning: the configuration has "firewall ${own.config.firewall}": these rules count as soon as they are`,
    );
    say('loaded, but the daemon looks after them with "firewall nft" only');
  }
  return install(wish, spec, text, { nft: config.nft, rules: config.nftRules, port: config.port });
}

interface Where {
  /** absolute path of nft */
  readonly nft: string;
  /** our file */
  readonly rules: string;
  readonly port: number;
}

async function install(wish: NftWish, spec: NftSpec, text: string, where: Where): Promise<number> {
  const nft = program(where.nft);
  const ready = await prepare(nft, where.rules);
  if (typeof ready === 'number') return ready;
  const old = await findOldRules(nft, where.port, process.env['PATH'] ?? '', wish.bootFiles);
  if (!isClean(old) && !wish.replacesQueue) return refuseOld(old);
  const isThere = isAsItShouldBe(spec, ready.table);
  const path = targetOf(where.rules);
  const files: FileChange[] = [
    { path, before: ready.file, after: text },
    ...old.files.map(({ path: file, before, after }) => ({
      path: file,
      before,
      after,
      isKept: true as const,
    })),
  ];
  const isIdle = isThere && files.every(({ before, after }) => before === after) && isClean(old);
  if (isIdle) {
    process.stdout.write(`table ${NFT_TABLE} and ${where.rules} are as they should be\n`);
    return Exit.OK;
  }
  showChange(files, old, ready.table, `table ${NFT_TABLE} is loaded: ${markText(markOf(spec))}`);
  const asked = await ask(wish, 'Write and load this?');
  if (asked !== undefined) return asked;
  const alsoGone = old.table === undefined ? [] : [OLD_TABLE];
  const change: NftChange = { files, table: tableText(spec), lengths: spec.lengths, alsoGone };
  const status = await carryOut(change, nft);
  if (status !== Exit.OK) return status;
  for (const line of old.iptables) process.stdout.write(`still to be done by you: ${line}\n`);
  for (const line of [`table ${NFT_TABLE} is loaded`, ...bootLines(where.rules, wish.bootFiles)]) {
    process.stdout.write(`${line}\n`);
  }
  return Exit.OK;
}

/** Takes the table out of the kernel; it must not depend on a configuration that is right. */
async function takeAway(wish: NftWish, given: readonly Given[]): Promise<number> {
  const loaded = loadConfig(given, [], 'linux');
  const named = (key: 'nft' | 'nftRules'): string =>
    loaded.ok
      ? loaded.config[key]
      : (given.findLast((item) => item.key === key)?.text ?? defaultValue(key, 'linux') ?? '');
  const nft = program(named('nft'));
  const rules = named('nftRules');
  const ready = await prepare(nft, rules);
  if (typeof ready === 'number') return ready;
  const includer = includerOf(rules, wish.bootFiles);
  // nft would load nothing at all, if what it is to include were not there
  const isOff = wish.act === 'off' || includer !== undefined;
  const after = isOff && ready.file !== undefined ? offText(ready.file) : undefined;
  const files: FileChange[] = [{ path: targetOf(rules), before: ready.file, after }];
  if (ready.table === undefined && files.every(({ before, after: then }) => before === then)) {
    process.stdout.write(`there is no table ${NFT_TABLE}, and ${rules} does nothing: nothing to do\n`);
    return Exit.OK;
  }
  showChange(files, undefined, ready.table, `table ${NFT_TABLE} is taken away: everybody gets in`);
  const asked = await ask(wish, 'Do that?');
  if (asked !== undefined) return asked;
  const change: NftChange = { files, table: undefined, lengths: { 4: 32, 6: 128 }, alsoGone: [] };
  const status = await carryOut(change, nft);
  if (status !== Exit.OK) return status;
  process.stdout.write(`table ${NFT_TABLE} is gone; it comes back with "mxallowd nft-conf --install"\n`);
  if (wish.act === 'uninstall' && includer !== undefined) {
    process.stdout.write(`${rules} stays, without effect, for ${includer} includes it: take that line out\n`);
  }
  return Exit.OK;
}

/** What is there before anything is done; or the exit status, when nothing may be done. */
async function prepare(
  nft: NftProgram,
  rules: string,
): Promise<{ readonly table: ListedTable | undefined; readonly file: string | undefined } | number> {
  const looked = await lookAtTable(nft);
  if (!looked.ok) {
    say(`the table cannot be looked at: ${looked.message}`);
    return statusOfNft(looked.failure);
  }
  const { table } = looked;
  if (table !== undefined && table.mark === undefined && table.chains.size > 0) {
    const comment = table.comment === '' ? 'no comment' : `the comment "${escapeText(table.comment, 60)}"`;
    say(`there is a table ${NFT_TABLE} that has not been made by this command (it has ${comment}):`);
    say(`see whose it is (nft list table ${NFT_TABLE}), and take it away. Nothing has been changed`);
    return Exit.DATAERR;
  }
  const file = readBytes(targetOf(rules));
  if (file !== undefined && modeOfFile(file) === undefined) {
    say(
      `${rules} has not been written by this command: see what it is, or name another file with --nft-rules`,
    );
    return Exit.DATAERR;
  }
  return { table, file };
}

function isAsItShouldBe(spec: NftSpec, found: ListedTable | undefined): boolean {
  const expected = readTable(tableText(spec));
  if (found === undefined || expected === undefined || found.comment !== expected.comment) return false;
  const { missing, surplus } = compareTables(expected, found);
  return missing.length === 0 && surplus.length === 0;
}

function refuseOld(old: OldRules): number {
  say('there are rules that send connections to a queue (NFQUEUE). With "firewall nft" nobody answers it,');
  say('and they would drop all mail:');
  showOld(old);
  say('to take them away in the same moment: --replace-queue. Nothing has been changed');
  return Exit.DATAERR;
}

function showOld({ table, files, iptables }: OldRules): void {
  for (const line of table?.split('\n') ?? []) if (line !== '') show(`  ${line}`);
  for (const { path, removed } of files) show(`  ${path}: ${removed.length} lines of mxallowd 2.0.0`);
  for (const line of iptables) show(`  take away by hand: ${line}`);
}

function showChange(
  files: readonly FileChange[],
  old: OldRules | undefined,
  table: ListedTable | undefined,
  what: string,
): void {
  for (const { path, before, after } of files) {
    for (const line of shownDifference(path, before, after)) process.stdout.write(`${line}\n`);
  }
  if (old !== undefined) showOld(old);
  const has =
    table === undefined ? '' : ` (there is one: ${table.comment === '' ? 'no comment' : table.comment})`;
  show(`${what}${has}`);
}

function show(text: string): void {
  process.stdout.write(`${escapeText(text.replaceAll('\t', '  '), MOST_OF_A_LINE)}\n`);
}

/** @returns the exit status; undefined: do it */
async function ask({ yes }: NftWish, question: string): Promise<number | undefined> {
  const asked = yes ? 'yes' : await askYesNo(question);
  if (asked === 'yes') return undefined;
  const why = asked === 'nobody' ? ': without a terminal to ask on this needs --yes' : '';
  say(`nothing has been changed${why}`);
  return asked === 'nobody' ? Exit.USAGE : Exit.OK;
}

async function carryOut(change: NftChange, nft: NftProgram): Promise<number> {
  const { status, lines } = await undisturbed(() => changeTable(change, nft));
  for (const line of lines) {
    if (status === Exit.OK) show(line);
    else say(line);
  }
  return status;
}

function program(path: string): NftProgram {
  return new NftProgram({ path, timeoutMs: NFT_TIMEOUT_MS, clock: systemClock });
}
