import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, describe, it } from 'node:test';
import { frames } from '../../bench/support.js';
import { ask } from '../support/control.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import type { ListedEntry } from '../../src/control/protocol.js';

/** In all, by several daemons at a time; `MXALLOWD_KILLS=200` for more. */
const KILLS = Number(process.env['MXALLOWD_KILLS'] ?? 12);
const AT_A_TIME = 4;
/** An entry is kept at the latest so long after it was made. On a machine that does other things it takes longer. */
const KEPT_MS = process.env['MXALLOWD_KILLS'] === undefined ? 2000 : 1000;
/** Long enough for a few lives; at the end all must be gone after it. */
const WHITELIST_SECONDS = 20;
const TICK_MS = 50;

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
  /** entries that the daemon has told of, and when, wall clock */
  private readonly made = new Map<string, number>();
  private read = 0;
  private next = 1;
  private daemon: Daemon | undefined;

  constructor(
    private readonly place: Workplace,
    private readonly random: () => number,
  ) {}

  /** Lives until it has been killed so often. */
  async run(kills: number): Promise<void> {
    this.daemon = await this.place.ready(['-t', String(WHITELIST_SECONDS)]);
    while (this.kills < kills) {
      await this.load(100 + this.random() * 1500);
      const killsEngine = isRoot && this.random() < 0.5;
      if (killsEngine) await this.killEngine();
      else await this.killAll();
      await this.check();
    }
  }

  /** Nobody tries any more: in the end nobody may be left. */
  async fade(): Promise<void> {
    const { place } = this;
    await until('all entries have expired', async () => (await listed(place)).length === 0);
    await until('the table is empty', async () => (await place.pfctl.addresses()).length === 0);
  }

  /** Senders try for so many milliseconds. */
  private async load(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      this.place.log([...frames(4, 2, 'fake', this.next), ...frames(4, 1, 'real', this.next)]);
      this.next += 2;
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.readLog();
  }

  private async killEngine(): Promise<void> {
    const { enginePid = 0 } = (await ask(this.place.controlSocket, { command: 'status' })).result;
    const from = this.daemon?.stdout.length ?? 0;
    this.kill(enginePid);
    this.readLog();
    await this.renewPflog();
    await this.daemon?.line(/the engine works again/, from);
  }

  /** The monitor, or the only process; the engine, if there is one, ends by itself. */
  private async killAll(): Promise<void> {
    const { daemon } = this;
    if (daemon === undefined) throw new Error('no daemon');
    this.kill(daemon.pid);
    await daemon.ended;
    this.readLog();
    await this.renewPflog();
    this.read = 0;
    this.daemon = await this.place.ready(['-t', String(WHITELIST_SECONDS)]);
  }

  private kill(pid: number): void {
    this.killedAtMs = Date.now();
    process.kill(pid, 'SIGKILL');
    this.kills++;
  }

  private killedAtMs = 0;

  /** A new tcpdump wants the beginning of a savefile; the old one must have gone. */
  private async renewPflog(): Promise<void> {
    this.place.closePflog();
    const isGone = (): boolean => spawnSync('pgrep', ['-f', `^cat ${this.place.folder}/`]).status !== 0;
    await until('the old capture has gone', isGone);
    this.place.openPflog();
  }

  /** What the daemon has said of new entries, with its own times. */
  private readLog(): void {
    const text = this.daemon?.stdout.slice(this.read) ?? '';
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    this.read += whole.length;
    for (const [, time = '', source = ''] of whole.matchAll(
      /^(\S+) info: Successful connection from (\S+) to a fake .*adding/gm,
    )) {
      this.made.set(source, Date.parse(time));
    }
  }

  private async check(): Promise<void> {
    const { place, made, killedAtMs } = this;
    // the changes that the start makes are written by now, or soon
    await until('table and whitelist are equal', async () => {
      const entries = (await listed(place)).map(({ prefix }) => prefix).sort();
      const table = (await place.pfctl.addresses()).sort();
      return entries.join() === table.join();
    });
    const now = new Set((await listed(place)).map(({ prefix }) => prefix));
    const lost = [...made].filter(([source, atMs]) => {
      const isOld = killedAtMs - atMs > KEPT_MS;
      const isOver = Date.now() - atMs > (WHITELIST_SECONDS - 1) * 1000;
      return isOld && !isOver && !now.has(source);
    });
    assert.deepEqual(lost, [], `lost after kill ${this.kills}`);
    for (const { prefix, expiresInMs } of await listed(place)) {
      assert.ok(expiresInMs <= WHITELIST_SECONDS * 1000, `${prefix} lives too long`);
    }
    for (const [source, atMs] of made) {
      if (Date.now() - atMs > 2 * WHITELIST_SECONDS * 1000) made.delete(source);
    }
  }
}

async function listed(place: Workplace): Promise<ListedEntry[]> {
  return (await ask(place.controlSocket, { command: 'list' })).items as ListedEntry[];
}

describe(`a daemon that is killed ${KILLS} times, under load`, { timeout: 1_800_000 }, () => {
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
    t.diagnostic(`${KILLS} kills`);
  });
});
