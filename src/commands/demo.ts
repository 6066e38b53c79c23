// `mxallowd demo`.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SCENARIOS, type Scenario, type Target } from '../demo/scenarios.js';
import { type LogEvent, Stage, type StagedDaemon } from '../demo/stage.js';
import { missingTools, World, WORLD } from '../demo/world.js';
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
  print('Rules on mx:', ...(await stage.loadExampleRules()).map((rule) => `  ${rule}`));
  const screen = new Screen();
  const daemon = stage.startDaemon(['-n', '23'], (event) => screen.daemon(event));
  await daemon.ready();

  const seen: string[] = [];
  for (const scenario of SCENARIOS) {
    screen.begin(scenario);
    const before = await droppedBy(daemon);
    const outcome = await scenario.play(stage, (sender, to, what, tookMs) => {
      screen.line(sender, to, `the sender sees: ${what === 'refused' ? 'refused at once' : what}`, tookMs);
    });
    screen.end((await droppedBy(daemon)) - before);
    seen.push(`${outcome}${strayMail(stage, scenario)}`);
  }
  await endOf(daemon);
  return printTable(seen);
}

/** A message that was taken although the sender did not see it would be one that got in. */
function strayMail(stage: Stage, { expected, senders }: Scenario): string {
  const taken = senders.reduce((sum, sender) => sum + (stage.delivered.get(sender) ?? 0), 0);
  const wanted = expected.includes('real delivered') ? 1 : 0;
  return taken === wanted ? '' : `, but ${taken} taken`;
}

/** How many packets it has dropped: a line of its log stands for many. */
async function droppedBy(daemon: StagedDaemon): Promise<number> {
  const from = daemon.events.length;
  daemon.signal('SIGUSR1');
  return (await daemon.event(({ event }) => event === 'queue-statistics', from)).dropped ?? 0;
}

async function endOf(daemon: StagedDaemon): Promise<void> {
  daemon.signal('SIGTERM');
  const how = await daemon.ended;
  if (how !== 0) throw new Error(`mxallowd has ended with ${how}: ${daemon.stderr}`);
}

/** @returns exit status */
function printTable(seen: readonly string[]): number {
  const rows = SCENARIOS.map(({ title, expected }, i) => [title, expected, seen[i] ?? '']);
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

/** What happens, a line each, as it happens. */
class Screen {
  private readonly startMs = performance.now();
  private senders: ReadonlySet<string> = new Set();
  private isCrowd = false;
  private readonly events: Record<string, number> = {};

  begin({ title, senders }: Scenario): void {
    this.senders = new Set(senders);
    this.isCrowd = senders.length > 1;
    print('', title);
  }

  /** For a crowd: what was left out. */
  end(dropped: number): void {
    if (!this.isCrowd) return;
    const { attempt = 0, admission = 0 } = this.events;
    const what = `mxallowd drops ${dropped} SYNs, accepts ${attempt + admission}`;
    this.show(`${this.senders.size} senders`, 'real MX', what);
  }

  line(sender: string, target: Target, what: string, tookMs: number): void {
    const after = tookMs < 100 ? '' : ` after ${(tookMs / 1000).toFixed(1)} s`;
    this.show(sender, target, what + after);
  }

  /** What mxallowd has logged. */
  daemon({ event, source = '', target = '', reason = '' }: LogEvent): void {
    if (!this.senders.has(source)) return;
    if (this.isCrowd) {
      this.events[event ?? ''] = (this.events[event ?? ''] ?? 0) + 1;
      return;
    }
    const words: Record<string, string> = {
      attempt: 'accepts and whitelists',
      refusal: 'drops: not whitelisted',
      admission: `accepts: ${reason}`,
    };
    const what = words[event ?? ''];
    const isFake = (WORLD.fake as readonly string[]).includes(target);
    if (what !== undefined) this.show(source, isFake ? 'fake MX' : 'real MX', `mxallowd ${what}`);
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
  if (!libc.ok) return `NFQUEUE ${libc.message}`;
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
