import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { age, loadAll } from '../support/state.js';
import type { ListedEntry } from '../../src/control/protocol.js';

/** In all, by several daemons at a time; `MXALLOWD_KILLS=200` for more. */
const KILLS = Number(process.env['MXALLOWD_KILLS'] ?? 12);
const AT_A_TIME = 4;
/** Longer than a few lives, on any machine. */
const WHITELIST_SECONDS = 600;
/** What is left of it at the end for those who came last. */
const LAST_MS = 3000;

const isRoot = process.getuid?.() === 0;

/** A generator of numbers that can be had again (mulberry32): a failing run tells its seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** One daemon under load that is killed again and again. */
class Victim {
  kills = 0;
  /** how many entries had to be there after a kill, in all */
  compared = 0;
  /** what the state file had at the last kill, and until when, wall clock */
  private kept: readonly { readonly prefix: string; readonly untilMs: number }[] = [];
  private next = 1;
  private daemon: Daemon | undefined;

  constructor(
    private readonly place: Workplace,
    private readonly random: () => number,
  ) {}

  /** Lives until it has been killed so often. */
  async run(kills: number): Promise<void> {
    await this.begin();
    while (this.kills < kills) {
      await this.load();
      const killsEngine = isRoot && this.random() < 0.5;
      if (killsEngine) await this.killEngine();
      else await this.killAll();
      await this.check();
    }
  }

  /** Nobody tries any more, and time goes by: in the end nobody may be left. */
  async fade(): Promise<void> {
    const { place, daemon } = this;
    daemon?.kill('SIGTERM');
    await daemon?.ended;
    await age(place.stateFile, WHITELIST_SECONDS * 1000 - LAST_MS);
    await this.renewPflog();
    await this.begin();
    await until('all entries have expired', async () => (await listed(place)).length === 0);
    await until('the table is empty', async () => (await place.pfctl.addresses()).length === 0);
  }

  private async begin(): Promise<void> {
    this.daemon = await this.place.ready(['-t', String(WHITELIST_SECONDS)]);
  }

  /** Senders try, until the state file is being written; others come in the moment in which it is killed. */
  private async load(): Promise<void> {
    const { place } = this;
    const size = sizeOf(place.stateFile);
    const moment = this.random();
    this.try(1 + this.random() * 30);
    if (moment < 0.2) return;
    const last = this.next - 1;
    const prefix = `10.${last >> 16}.${(last >> 8) & 255}.${last & 255}`;
    const isListed = async (): Promise<boolean> => (await listed(place)).some((one) => one.prefix === prefix);
    await until(`${prefix} is let in`, isListed);
    if (moment < 0.4) return;
    await until('the state file changes', () => sizeOf(place.stateFile) !== size);
    if (moment > 0.6) this.try(this.random() * 10);
  }

  /** So many times somebody tries. */
  private try(times: number): void {
    for (let i = 0; i < times; i++, this.next += 2) {
      this.place.log([...frames(4, 2, 'fake', this.next), ...frames(4, 1, 'real', this.next)]);
    }
  }

  private async killEngine(): Promise<void> {
    const { enginePid = 0 } = (await ask(this.place.controlSocket, { command: 'status' })).result;
    const from = this.daemon?.stdout.length ?? 0;
    this.kill(enginePid);
    await this.renewPflog();
    await this.daemon?.line(/the engine works again/, from);
  }

  /** The monitor, or the only process; the engine, if there is one, ends by itself. */
  private async killAll(): Promise<void> {
    const { daemon } = this;
    if (daemon === undefined) throw new Error('no daemon');
    this.kill(daemon.pid);
    await daemon.ended;
    await this.renewPflog();
    await this.begin();
  }

  private kill(pid: number): void {
    const nowMs = Date.now();
    this.kept = loadAll(this.place.stateFile, nowMs).entries.map(({ prefix, remainingMs }) => ({
      prefix,
      untilMs: nowMs + remainingMs,
    }));
    process.kill(pid, 'SIGKILL');
    this.kills++;
  }

  /** A new tcpdump wants the beginning of a savefile; the old one must have gone. */
  private async renewPflog(): Promise<void> {
    this.place.closePflog();
    const isGone = (): boolean => spawnSync('pgrep', ['-f', `^cat ${this.place.folder}/`]).status !== 0;
    await until('the old capture has gone', isGone);
    this.place.openPflog();
  }

  private async check(): Promise<void> {
    const { place, kept } = this;
    // the changes that the start makes are written by now, or soon
    await until('table and whitelist are equal', async () => {
      const entries = (await listed(place)).map(({ prefix }) => prefix).sort();
      const table = (await place.pfctl.addresses()).sort();
      return entries.join() === table.join();
    });
    const now = await listed(place);
    const prefixes = new Set(now.map(({ prefix }) => prefix));
    const wanted = kept.filter(({ untilMs }) => untilMs > Date.now());
    assert.deepEqual(
      wanted.filter(({ prefix }) => !prefixes.has(prefix)),
      [],
      `lost after kill ${this.kills}`,
    );
    this.compared += wanted.length;
    for (const { prefix, expiresInMs } of now) {
      assert.ok(expiresInMs <= WHITELIST_SECONDS * 1000, `${prefix} lives too long`);
    }
  }
}

/** Of a file; undefined when it is not there. */
function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

async function listed(place: Workplace): Promise<ListedEntry[]> {
  return (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
}

describe(`a daemon that is killed ${KILLS} times, under load`, () => {
  const places: Workplace[] = [];
  afterEach(async () => {
    for (const place of places) await place.dispose();
  });

  it('loses no entry that was kept, leaves none for ever, and its table is its whitelist', async (t) => {
    const seed = Date.now() % 1_000_000;
    t.diagnostic(`seed ${seed}`);
    const victims = await Promise.all(
      Array.from({ length: AT_A_TIME }, async (_, i) => {
        const place = await Workplace.create(isRoot ? 'nobody' : 'root');
        places.push(place);
        return new Victim(place, random(seed + i));
      }),
    );
    await Promise.all(victims.map((victim) => victim.run(KILLS / AT_A_TIME)));
    assert.equal(
      victims.reduce((sum, { kills }) => sum + kills, 0),
      KILLS,
    );
    await Promise.all(victims.map((victim) => victim.fade()));
    const compared = victims.reduce((sum, victim) => sum + victim.compared, 0);
    assert.ok(compared > 0);
    t.diagnostic(`${KILLS} kills, after which ${compared} entries had to be there, and were`);
  });
});
