// `mxallowd demo`.
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Outcome } from '../demo/messages.js';
import { SCENARIOS, type Scenario, type Target, WITHOUT_MXALLOWD } from '../demo/scenarios.js';
import { type LogEvent, Stage, type StagedDaemon } from '../demo/stage.js';
import { missingTools, World, WORLD } from '../demo/world.js';
import { findProgram } from '../check/program.js';
import { loadLibc } from '../native/libc.js';
import { Exit } from '../sysexits.js';
import { packageFolder } from '../version.js';
import { escapeText } from '../packet/escape.js';
import { type ParsedArguments, wordsOf } from './arguments.js';
import type { Command } from './command.js';
import { replay } from './replay/replay.js';

/** How a signal ends a process that does not handle it. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const SIGNAL_STATUS = 128;
/** The demonstration did not show what it should. */
const DISAGREES = 1;

/**
 * `mxallowd demo`: shows the whole idea on a kernel of flesh and blood, in network namespaces of its own; where they
 * cannot be had, on the recordings that come with the package.
 */
export const command: Command = {
  text: 'Shows it at work, with real packets in network namespaces of its own (Linux),\nor with the recordings of a real pf.',
  words: '',
  optionSet: 'none',
  options: [],
  run,
};

/** @returns 0 only if all that was seen is what was expected */
async function run(argv: ParsedArguments): Promise<number> {
  const stray = [...wordsOf(argv).slice(1), ...Object.keys(argv).filter((key) => !['_', '$0'].includes(key))];
  if (stray.length > 0) {
    process.stderr.write(`mxallowd: demo takes no arguments, not "${escapeText(stray.join(' '), 60)}"\n`);
    return Exit.USAGE;
  }
  const missing = await whatIsMissing();
  if (missing !== undefined) {
    process.stdout.write(
      `No live demonstration here: ${missing}.\nInstead, recordings of a real pf are judged:\n\n`,
    );
    return replayRecordings();
  }
  const mode = World.mode();
  if (typeof mode !== 'string') return replayRecordings();
  const stage = await Stage.create(mode).catch((error: unknown) => String(error));
  if (typeof stage === 'string') {
    process.stderr.write(`mxallowd: the demonstration cannot be set up: ${stage}\n`);
    return Exit.UNAVAILABLE;
  }
  const interrupted = new Promise<number>((resolve) => {
    for (const [signal, number] of Object.entries(SIGNALS)) {
      process.once(signal, () => {
        print('', `${signal}: interrupted`);
        isInterrupted = true;
        resolve(SIGNAL_STATUS + number);
      });
    }
  });
  try {
    return await Promise.race([perform(stage), interrupted]);
  } catch (error) {
    process.stderr.write(`mxallowd: the demonstration failed: ${(error as Error).message}\n`);
    return Exit.UNAVAILABLE;
  } finally {
    await stage.close();
    process.stdout.write('The namespaces and all that was in them are gone.\n');
  }
}

async function perform(stage: Stage): Promise<number> {
  const as = stage.world.mode === 'root' ? 'as root' : 'in a user namespace, without root';
  print(
    `Two hosts in network namespaces of their own, ${as}.`,
    `  internet   senders anywhere: ${WORLD.senders.slice(0, 2).join(', ')}, ...`,
    `  mx         fake MX ${WORLD.fake.join(', ')}: nothing listens`,
    `             real MX ${WORLD.real.join(', ')}: takes mail`,
  );
  const folder = mkdtempSync(join(tmpdir(), 'mxallowd-demo-'));
  // what is in the namespaces may run as another user
  chmodSync(folder, 0o755);
  try {
    const rules = join(folder, 'mxallowd.nft');
    const nft = findProgram('nft', process.env['PATH'] ?? '');
    const why = nft === undefined ? 'nft is not installed' : await stage.installRules(nft, rules);
    if (nft !== undefined && why === undefined)
      return await performNft(stage, ['--nft', nft, '--nft-rules', rules]);
    print(`nftables cannot be shown here (${why}): NFQUEUE instead.`);
    return await performQueue(stage);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The kernel keeps the table, and goes on when mxallowd is killed. */
/** @param where - options: nft, and the rules */
async function performNft(stage: Stage, where: readonly string[]): Promise<number> {
  print('Rules on mx:', '  mxallowd nft-conf --install (nftables, table inet mx_white)');
  const screen = new Screen(NFT_WORDS);
  const start = async (): Promise<StagedDaemon> => {
    const daemon = stage.startDaemon(['--firewall', 'nft', ...where], (event) => screen.daemon(event));
    await daemon.ready();
    return daemon;
  };
  const daemon = await start();
  const seen = await play(stage, screen, SCENARIOS, daemon);
  daemon.signal('SIGKILL');
  await daemon.ended;
  print('', 'Now mxallowd is killed (SIGKILL); the kernel goes on.');
  const without = await play(stage, screen, WITHOUT_MXALLOWD);
  print('', 'mxallowd is started again, and takes in what has happened meanwhile.');
  await endOf(await start());
  return printTable([...SCENARIOS, ...WITHOUT_MXALLOWD], [...seen, ...without]);
}

/** Each packet waits for mxallowd's verdict. */
async function performQueue(stage: Stage): Promise<number> {
  print('Rules on mx:', ...(await stage.loadExampleRules()).map((rule) => `  ${rule}`));
  const screen = new Screen(QUEUE_WORDS);
  const daemon = stage.startDaemon(['-n', '23'], (event) => screen.daemon(event));
  await daemon.ready();
  const seen = await play(stage, screen, SCENARIOS, daemon);
  await endOf(daemon);
  return printTable(SCENARIOS, seen);
}

/** @param daemon - undefined: there is none */
async function play(
  stage: Stage,
  screen: Screen,
  scenarios: readonly Scenario[],
  daemon?: StagedDaemon,
): Promise<string[]> {
  const seen: string[] = [];
  for (const scenario of scenarios) {
    screen.begin(scenario);
    const before = await refusalsBy(daemon);
    const outcome = await scenario.play(stage, (sender, to, what, tookMs) => {
      screen.line(sender, to, what, tookMs);
    });
    screen.end((await refusalsBy(daemon)) - before);
    seen.push(`${outcome}${strayMail(stage, scenario)}`);
  }
  return seen;
}

/** A message that was taken although the sender did not see it would be one that got in. */
function strayMail(stage: Stage, { expected, senders }: Scenario): string {
  const taken = senders.reduce((sum, sender) => sum + (stage.delivered.get(sender) ?? 0), 0);
  const wanted = expected.includes('real delivered') ? 1 : 0;
  return taken === wanted ? '' : `, but ${taken} taken`;
}

/** How many SYNs have been refused: a line of the log stands for many. */
async function refusalsBy(daemon: StagedDaemon | undefined): Promise<number> {
  if (daemon === undefined) return 0;
  const from = daemon.events.length;
  daemon.signal('SIGUSR1');
  return (await daemon.event(({ event }) => event === 'counters', from)).refusals ?? 0;
}

async function endOf(daemon: StagedDaemon): Promise<void> {
  daemon.signal('SIGTERM');
  const how = await daemon.ended;
  if (how !== 0) throw new Error(`mxallowd has ended with ${how}: ${daemon.stderr}`);
}

/** @returns exit status */
function printTable(scenarios: readonly Scenario[], seen: readonly string[]): number {
  const rows = scenarios.map(({ title, expected }, i) => [title, expected, seen[i] ?? '']);
  const agrees = rows.map(([, expected, what]) => expected === what);
  const line = (columns: readonly string[]): string => {
    const [title = '', expected = '', what = '', ok = ''] = columns;
    return `${title.padEnd(33)} ${expected.padEnd(21)} ${what.padEnd(21)} ${ok}`.trimEnd();
  };
  const wide = (text = ''): string => text.replace('fake refused, real delivered', 'refused, delivered');
  print(
    '',
    line(['', 'expected', 'seen', '']),
    ...rows.map((row, i) => line([...row.map(wide), agrees[i] === true ? 'ok' : 'WRONG'])),
    '',
  );
  const wrong = agrees.filter((ok) => !ok).length;
  print(wrong === 0 ? 'All as expected.' : `${wrong} of ${rows.length} are not as expected.`);
  return wrong === 0 ? Exit.OK : DISAGREES;
}

/** What is said of what mxallowd has logged. */
interface Words {
  readonly attempt: string;
  readonly refusal: string;
  readonly admission: string;
  /** of a crowd: so many were dropped, so many let in */
  readonly crowd: (refused: number, letIn: number) => string;
}

const QUEUE_WORDS: Words = {
  attempt: 'mxallowd accepts and whitelists',
  refusal: 'mxallowd drops: not whitelisted',
  admission: 'mxallowd accepts',
  crowd: (refused, letIn) => `mxallowd drops ${refused} SYNs, accepts ${letIn}`,
};
const NFT_WORDS: Words = {
  attempt: 'the kernel refuses, and remembers it',
  refusal: 'the kernel drops: unknown',
  admission: 'the kernel lets it in',
  crowd: (refused, letIn) => `the kernel drops ${refused} of them, lets in ${letIn}`,
};

/** What happens, a line each, as it happens. */
class Screen {
  private readonly startMs = performance.now();
  private senders: ReadonlySet<string> = new Set();
  private isCrowd = false;
  private readonly events: Record<string, number> = {};

  constructor(private readonly words: Words) {}

  begin({ title, senders }: Scenario): void {
    this.senders = new Set(senders);
    this.isCrowd = senders.length > 1;
    print('', title);
  }

  /** For a crowd: what was left out. */
  end(refused: number): void {
    if (!this.isCrowd) return;
    const { attempt = 0, admission = 0 } = this.events;
    this.show(`${this.senders.size} senders`, 'real MX', this.words.crowd(refused, attempt + admission));
  }

  /** What a sender has seen; a busy machine has no answer at once. */
  line(sender: string, target: Target, what: Outcome, tookMs: number): void {
    const atOnce = what === 'refused' ? ' at once' : '';
    const when = tookMs < 100 ? atOnce : ` after ${(tookMs / 1000).toFixed(1)} s`;
    this.show(sender, target, `the sender sees: ${what}${when}`);
  }

  /** What mxallowd has logged. */
  daemon({ event, source = '', target = '' }: LogEvent): void {
    if (!this.senders.has(source)) return;
    if (this.isCrowd) {
      this.events[event ?? ''] = (this.events[event ?? ''] ?? 0) + 1;
      return;
    }
    const { attempt, refusal, admission } = this.words;
    const what = new Map([
      ['attempt', attempt],
      ['refusal', refusal],
      ['admission', admission],
    ]).get(event ?? '');
    const isFake = (WORLD.fake as readonly string[]).includes(target);
    if (what !== undefined) this.show(source, isFake ? 'fake MX' : 'real MX', what);
  }

  private show(sender: string, target: Target, what: string): void {
    const seconds = ((performance.now() - this.startMs) / 1000).toFixed(2).padStart(6);
    print(`${seconds} s ${sender.padStart(18)} > ${target}  ${what}`);
  }
}

/** What goes on while everything is being taken down is of no interest. */
let isInterrupted = false;

function print(...lines: readonly string[]): void {
  if (isInterrupted) return;
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** What a live demonstration would need that is not here. */
async function whatIsMissing(): Promise<string | undefined> {
  const mode = World.mode();
  if (typeof mode !== 'string') return mode.unavailable;
  const libc = await loadLibc();
  if (!libc.ok) return `mxallowd ${libc.message}`;
  return missingTools(['nft', 'iptables']).length < 2 ? undefined : 'neither nft nor iptables is installed';
}

function replayRecordings(): Promise<number> {
  const folder = join(packageFolder(), 'examples', 'recordings');
  const files = readdirSync(folder).filter((name) => /\.pcap(\.gz)?$/.test(name));
  const argv: ParsedArguments = {
    _: ['replay', ...files.map((name) => join(folder, name))],
    config: join(folder, 'mxallowd.conf'),
  };
  print(`$ mxallowd replay -c ${relative('.', argv['config'] as string)} ${relative('.', folder)}/*`, '');
  return replay(argv);
}
