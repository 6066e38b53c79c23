import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  createTable,
  DEFAULT_LIMIT,
  errorCode,
  newState,
  parsePrefix,
  readState,
  removeEntries,
  sortEntries,
  tableKey,
  withLock,
  writeState,
  type Flavour,
  type PfState,
  type Table,
} from './pfctl-state.js';

/** What every fault can carry. */
interface FaultScope {
  /** After so many calls the fault is over; without it, it stays. */
  readonly times?: number;
  /** Only calls with this `-T` command suffer it, or those that `check` (-nf) or `load` (-f) rules, or show `info`. */
  readonly only?:
    | 'check'
    | 'load'
    | 'info'
    | 'add'
    | 'delete'
    | 'expire'
    | 'flush'
    | 'kill'
    | 'replace'
    | 'show'
    | 'test'
    | 'zero';
}

/** How the stand-in misbehaves. */
export type PfctlFault = FaultScope &
  (
    | {
        /** Ends with `rc` (1) and the line `stderr` and does nothing. */
        readonly mode: 'fail';
        readonly rc?: number;
        readonly stderr?: string;
      }
    | {
        /**
         * `hang` never ends and ignores SIGTERM; `stuck` as well, and SIGKILL does not end it before it is released (it
         * takes Linux, root and koffi); `kill` dies of SIGKILL.
         */
        readonly mode: 'hang' | 'stuck' | 'kill';
        /** Does its work first; without it, nothing. */
        readonly after?: 'apply';
      }
    | {
        /** Waits `ms` milliseconds before its work. */
        readonly mode: 'slow';
        readonly ms: number;
      }
    | {
        /** Ends with status 1 at once and reads nothing of stdin. */
        readonly mode: 'partial-stdin';
      }
  );

/** One call of the stand-in, written down when it ends, or before it hangs or dies. */
export interface PfctlCall {
  /** When it started, milliseconds since the epoch, with a fraction. */
  readonly at: number;
  readonly pid: number;
  /** The command line without the program. */
  readonly argv: readonly string[];
  /** How many lines it read with `-f`. */
  readonly stdinLines: number;
  /** The first 20 of them. */
  readonly stdin: readonly string[];
  /** Exit status, or null if it hung or killed itself. */
  readonly rc: number | null;
  /** How many environment variables it had, not counting those that a shell sets by itself. */
  readonly env: number;
}

/** How one run ended. */
export interface PfctlResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status, or null if a signal ended it. */
  readonly status: number | null;
}

/** What a new stand-in starts with. */
export interface PfctlStandInOptions {
  /** Tables that exist, empty and with `persist`; default: mx-white. */
  readonly tables?: readonly string[];
  /** Hard limit of table entries. */
  readonly limit?: number;
  /** Whether that limit is in force; default: no, as on FreeBSD 10. */
  readonly enforceLimit?: boolean;
  /** Whose pfctl; default: FreeBSD's. */
  readonly flavour?: Flavour;
}

const DEFAULT_TABLE = 'mx-white';
const POLL_MS = 5;
const WAIT_DEADLINE_MS = 180_000;

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return spawnSync('ps', ['-ww', '-p', String(pid), '-o', 'args='], { encoding: 'utf8' }).stdout ?? '';
  }
}

/** A pfctl for one test, with tables of its own in a temporary directory. */
export class PfctlStandIn {
  /** Where state, faults and the log of calls are. */
  readonly directory: string;
  /** The executable to call as pfctl. */
  readonly path: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.path = join(directory, 'pfctl');
  }

  /** Makes the directory, the executable and the tables. */
  static create(options: PfctlStandInOptions = {}): Promise<PfctlStandIn> {
    const standIn = new PfctlStandIn(realpathSync(mkdtempSync(join(tmpdir(), 'pfctl-stand-in-'))));
    const program = fileURLToPath(new URL('./pfctl.js', import.meta.url));
    const words = [process.execPath, program, '--state', standIn.directory].map(shellQuote);
    writeFileSync(standIn.path, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
    chmodSync(standIn.path, 0o755);
    const state: PfState = {
      ...newState(),
      limit: options.limit ?? DEFAULT_LIMIT,
      enforceLimit: options.enforceLimit ?? false,
      flavour: options.flavour ?? 'freebsd',
    };
    for (const name of options.tables ?? [DEFAULT_TABLE]) createTable(state, name, { persist: true });
    writeState(standIn.directory, state);
    return Promise.resolve(standIn);
  }

  /** Runs it once, in the directory `cwd` if that is given; `stdin` is sent byte for byte if it is a buffer. */
  run(
    args: readonly string[],
    stdin: string | Uint8Array = '',
    { cwd }: { readonly cwd?: string } = {},
  ): Promise<PfctlResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.path, args, { stdio: 'pipe', ...(cwd !== undefined && { cwd }) });
      const stdout: Buffer[] = [];
      const stderr: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
      child.stdin.on('error', (error) => {
        // A program that ends without reading its input is no error of ours.
        if (errorCode(error) !== 'EPIPE') reject(error);
      });
      child.on('error', reject);
      child.on('close', (status) => {
        resolve({
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString(),
          status,
        });
      });
      child.stdin.end(stdin);
    });
  }

  /** The entries of a table in the order of `show`, `!` before a negated one, without blanks; empty if there is no such table. */
  addresses(table = DEFAULT_TABLE): Promise<string[]> {
    const found = this.#table(this.#read(), table);
    const entries = sortEntries(found?.entries.keys() ?? []);
    return Promise.resolve(entries.map((text) => `${found?.negated.has(text) === true ? '!' : ''}${text}`));
  }

  /** When each entry of a table was last cleared, seconds since the epoch; undefined if there is no such table. */
  cleared(table = DEFAULT_TABLE): Map<string, number> | undefined {
    return this.#table(this.#read(), table)?.entries;
  }

  /** Sets the fault of the following calls; null ends it. */
  setFault(fault: PfctlFault | null): void {
    const file = join(this.directory, 'fault.json');
    withLock(this.directory, () => {
      if (fault === null) {
        rmSync(file, { force: true });
        return;
      }
      // Renamed into place, because a call reads it without the lock first.
      writeFileSync(`${file}.new`, JSON.stringify(fault));
      renameSync(`${file}.new`, file);
    });
  }

  /** The calls so far, in the order in which they ended. */
  calls(): PfctlCall[] {
    let text: string;
    try {
      text = readFileSync(join(this.directory, 'calls.ndjson'), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
    // The last line may be half written.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as PfctlCall);
  }

  /**
   * Waits until there have been `count` calls that `accept` wants, and answers those.
   *
   * @throws Error if they do not come.
   */
  async waitForCalls(count: number, accept: (call: PfctlCall) => boolean = () => true): Promise<PfctlCall[]> {
    const deadline = performance.now() + WAIT_DEADLINE_MS;
    for (;;) {
      const calls = this.calls().filter(accept);
      if (calls.length >= count) return calls;
      if (performance.now() > deadline)
        throw new Error(`${calls.length} of ${count} calls of pfctl have come`);
      await delay(POLL_MS);
    }
  }

  /** The statements of the main rules that were loaded last, those of included files in their place. */
  loaded(): string[] | undefined {
    try {
      return JSON.parse(readFileSync(join(this.directory, 'loaded.json'), 'utf8')) as string[];
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Forgets the calls so far. */
  clearCalls(): void {
    rmSync(join(this.directory, 'calls.ndjson'), { force: true });
  }

  /** Changes anything of the state, while no call does. */
  update(change: (state: PfState) => void): void {
    withLock(this.directory, () => {
      const state = this.#read();
      change(state);
      writeState(this.directory, state);
    });
  }

  /** Stops the stand-in's clock at `epochSeconds`; null lets it follow the real one. */
  setClock(epochSeconds: number | null): void {
    this.update((state) => {
      state.clock = epochSeconds;
    });
  }

  /** Changes when an entry that is there was cleared. */
  setCleared(address: string, epochSeconds: number, table = DEFAULT_TABLE): void {
    this.update((state) => {
      const { text } = parsePrefix(address);
      const { entries } = this.#existing(state, table);
      if (!entries.has(text)) throw new Error(`${text} is not in ${table}`);
      entries.set(text, epochSeconds);
    });
  }

  /** Puts entries into a table, or changes when they were cleared, without a call. */
  putEntries(addresses: Iterable<string>, clearedEpochSeconds: number, table = DEFAULT_TABLE): void {
    this.update((state) => {
      const { entries } = this.#existing(state, table);
      for (const address of addresses) entries.set(parsePrefix(address).text, clearedEpochSeconds);
    });
  }

  /** Removes all entries of a table, as `-T flush` does. */
  emptyTable(table = DEFAULT_TABLE): void {
    this.update((state) => {
      const found = this.#existing(state, table);
      removeEntries(found, [...found.entries.keys()]);
    });
  }

  /** Removes a table, as `-F Tables` does. */
  destroyTable(table = DEFAULT_TABLE): void {
    this.update((state) => {
      state.tables.delete(tableKey('', table));
    });
  }

  /** Makes an empty table with `persist`, as loading the rules does. */
  createTable(table = DEFAULT_TABLE): void {
    this.update((state) => {
      createTable(state, table, { persist: true });
    });
  }

  /** Lets go of the calls that are stuck: who was killed meanwhile ends. */
  release(): void {
    for (const pid of this.#listed('holders')) this.#kill(pid);
  }

  /** Kills the calls that still hang and removes the directory. */
  async dispose(): Promise<void> {
    for (const pid of this.#listed('waiting')) this.#kill(pid);
    this.release();
    // a call whose daemon was killed may still be writing
    for (let tries = 0; ; tries++) {
      try {
        rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
        return;
      } catch (error) {
        if (errorCode(error) !== 'ENOTEMPTY' || tries >= 100) throw error;
        await delay(POLL_MS * 10);
      }
    }
  }

  /** The process ids of calls that hang or are slow (`waiting`), or of those who hold them (`holders`). */
  #listed(what: 'waiting' | 'holders'): number[] {
    try {
      return readdirSync(join(this.directory, what)).map(Number);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Kills a process, if it is one of this stand-in: the id of one that has gone may belong to another by now. */
  #kill(pid: number): void {
    if (!commandLine(pid).includes(this.directory)) return;
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (errorCode(error) !== 'ESRCH') throw error;
    }
  }

  #read(): PfState {
    return readState(this.directory);
  }

  #table(state: PfState, name: string): Table | undefined {
    return state.tables.get(tableKey('', name));
  }

  #existing(state: PfState, name: string): Table {
    const table = this.#table(state, name);
    if (table === undefined) throw new Error(`there is no table ${name}`);
    return table;
  }
}
