// Keeps our rules in the kernel as they were installed: looks at the start, and when nft says that they have gone.
import { howItEnded, type Leashed, startLeashed } from '../capture/leash.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { Level } from '../log/line.js';
import { escapeText } from '../packet/escape.js';
import { readBytes, targetOf } from '../pf/files.js';
import { Exit, StartError } from '../sysexits.js';
import type { NftProgram } from '../table/nft-program.js';
import { NFT_TABLE } from '../table/nft-sets.js';
import type { TableReply } from '../table/table.js';
import { systemWords } from '../words.js';
import { configuredText, markOf, modeOfFile } from './conf.js';
import { lookAtTable } from './kernel.js';
import type { NftMark } from './mark.js';
import { nftSpec } from './spec.js';

/** What it works with. */
export interface RulesKeeperParts {
  readonly nft: NftProgram;
  /** absolute path of nft */
  readonly path: string;
  readonly clock: Pick<Clock, 'after'>;
  readonly say: (level: Level, message: string, event: string) => void;
  /**
   * is told when the table had gone and is back
   * @param isEmpty - nothing is in it; otherwise somebody has changed something
   */
  readonly restored: (isEmpty: boolean) => void;
}

/** What has become of our table. */
type Found = 'there' | 'loaded' | 'off' | 'unknown';

/** What nft's monitor says when something of our table has gone. */
const GONE = new RegExp(String.raw`^delete (?:table|chain|rule|set) ${NFT_TABLE}\b`, 'm');
/** A change has many lines; so long after the first one it is looked. */
const LOOK_AFTER_MS = 100;
/** A monitor that has ended is started again, later and later. */
const FIRST_RESTART_MS = 1000;
const MAX_RESTART_MS = 30_000;
/** It may have missed what happened before it listened. */
const LOOK_AT_START_MS = 2000;
const ENVIRONMENT = { LC_ALL: 'C' };

const HOW_TO_INSTALL = '"mxallowd nft-conf --install" makes it, "mxallowd nft-conf" shows it first';

/**
 * Keeps our rules as "nft-conf --install" has put them: what somebody flushes is loaded again from its file, in the mode
 * that it was installed in. What was never installed, or was switched off, is left alone. Runs where CAP_NET_ADMIN is.
 */
export class RulesKeeper {
  private monitor: Leashed | undefined;
  private restartMs = FIRST_RESTART_MS;
  private cancelRestart: (() => void) | undefined;
  private cancelLook: (() => void) | undefined;
  private looking: Promise<void> = Promise.resolve();
  private isOver = false;
  private tells = false;
  private saidOff = false;
  private saidShape: string | undefined;

  constructor(
    private config: Config,
    private readonly parts: RulesKeeperParts,
  ) {}

  /**
   * Looks whether the rules are there; loads them from their file where they should be. Gives the sets of the
   * configuration what it says.
   * @throws StartError when they were never installed, are switched off, or cannot be looked at
   */
  async start(): Promise<void> {
    const found = await this.look();
    if (typeof found !== 'string') throw found;
    if (found === 'off') {
      throw new StartError(
        `there is no table ${NFT_TABLE}, and ${this.config.nftRules} does nothing: ${HOW_TO_INSTALL}`,
        Exit.UNAVAILABLE,
      );
    }
    this.listen();
  }

  /** Takes over another configuration: what the sets of the kernel are to have of it. */
  configure(config: Config): void {
    this.config = config;
    this.lookSoon(0, false);
  }

  /** Ends what runs. */
  stop(): void {
    this.isOver = true;
    this.cancelRestart?.();
    this.cancelLook?.();
    this.monitor?.signal('TERM');
    this.parts.nft.abort();
  }

  /** Looks at the table, and puts it back if it has to be. @returns why nothing is known, where it is so */
  private async look(): Promise<Found | StartError> {
    const { nft } = this.parts;
    const looked = await lookAtTable(nft);
    if (!looked.ok) return startError(`table ${NFT_TABLE} cannot be looked at`, looked);
    const { table } = looked;
    if (table === undefined) return this.putBack();
    if (table.mark === undefined) {
      const message = `there is a table ${NFT_TABLE} that mxallowd has not made: see whose it is, and take it away`;
      return new StartError(message, Exit.CONFIG);
    }
    this.saidOff = false;
    // rules that somebody has taken out of it
    if (table.chains.size > 0 && [...table.chains.values()].every((rules) => rules.length === 0)) {
      return this.putBack();
    }
    this.sayShape(table.mark);
    const reply = await nft.load(configuredText(nftSpec(this.config, table.mark.mode)));
    if (!reply.ok) return startError(`the sets of table ${NFT_TABLE} cannot be written`, reply);
    return 'there';
  }

  /** Loads what was installed, in the mode in which it was. */
  private async putBack(): Promise<Found | StartError> {
    const { nftRules } = this.config;
    let text: string | undefined;
    try {
      text = readBytes(targetOf(nftRules));
    } catch (error) {
      return new StartError(`${nftRules} cannot be read: ${systemWords(error)}`, Exit.NOINPUT);
    }
    const mode = modeOfFile(text ?? '');
    if (text === undefined || mode === undefined || mode === 'off') return 'off';
    const spec = nftSpec(this.config, mode);
    // its addresses may be those of an earlier configuration
    const reply = await this.parts.nft.load(text + configuredText(spec));
    if (!reply.ok) return startError(`the rules of ${nftRules} cannot be loaded`, reply);
    return 'loaded';
  }

  /** What a running daemon cannot change. */
  private sayShape(mark: NftMark): void {
    const expected = markOf(nftSpec(this.config, mark.mode));
    if (mark.shape === expected.shape && mark.version === expected.version) {
      this.saidShape = undefined;
      return;
    }
    if (this.saidShape === mark.shape) return;
    this.saidShape = mark.shape;
    const message = `the rules in table ${NFT_TABLE} are for another configuration, or of another version: run "mxallowd nft-conf --install"`;
    this.parts.say('warn', message, 'rules-differ');
  }

  /** Hears from nft when something is taken away. */
  private listen(): void {
    if (this.isOver) return;
    let monitor: Leashed;
    try {
      monitor = startLeashed(this.parts.path, ['monitor', 'destroy'], ENVIRONMENT);
    } catch (error) {
      this.listenLater(systemWords(error));
      return;
    }
    this.monitor = monitor;
    const { child } = monitor;
    let rest = '';
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      const whole = rest + text;
      const end = whole.lastIndexOf('\n') + 1;
      rest = whole.slice(end).slice(0, 1000);
      if (GONE.test(whole.slice(0, end))) this.lookSoon(LOOK_AFTER_MS);
    });
    child.stderr?.resume();
    child.on('error', () => undefined);
    child.once('close', (code, signal) => this.listenLater(howItEnded(code, signal)));
    this.lookSoon(LOOK_AT_START_MS, false);
  }

  private listenLater(why: string): void {
    if (this.isOver) return;
    const waitMs = this.restartMs;
    this.restartMs = Math.min(2 * waitMs, MAX_RESTART_MS);
    const message = `"nft monitor", by which it is known that somebody takes our rules away, ${escapeText(why)}; it is started again in ${waitMs / 1000} s`;
    this.parts.say('warn', message, 'rules-unwatched');
    this.cancelRestart = this.parts.clock.after(waitMs, () => this.listen());
  }

  /** @param tells - whoever keeps the entries is told, whatever is found */
  private lookSoon(inMs: number, tells = true): void {
    if (this.isOver) return;
    this.cancelLook?.();
    this.tells ||= tells;
    this.cancelLook = this.parts.clock.after(inMs, () => {
      // one after the other
      this.looking = this.looking.then(() => this.repair());
    });
  }

  private async repair(): Promise<void> {
    const { tells } = this;
    this.tells = false;
    if (this.isOver) return;
    const { say, restored } = this.parts;
    const found = await this.look();
    if (typeof found !== 'string') {
      say('error', `${found.message}; it is tried again`, 'rules-lost');
      this.lookSoon(MAX_RESTART_MS / 3);
    } else if (found === 'loaded') {
      const message = `table ${NFT_TABLE} had gone (nft flush ruleset, or another program's start?) and is loaded again, as it was installed`;
      say('warn', message, 'rules-restored');
      restored(true);
    } else if (found === 'off') {
      if (!this.saidOff)
        say('warn', `table ${NFT_TABLE} has been switched off: everybody gets in`, 'rules-off');
      this.saidOff = true;
    } else if (tells) restored(false);
  }
}

function startError(what: string, reply: TableReply & { ok: false }): StartError {
  const status = reply.failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
  return new StartError(`${what}: ${escapeText(reply.message)}`, status);
}
