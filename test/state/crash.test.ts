import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  changes,
  type FillResult,
  flushedLine,
  goes,
  KILL_ENTRIES,
  prefixOf,
} from '../support/state-probe.js';
import { loadAll, type LoadedAll, messages } from '../support/state.js';

const PROBE = fileURLToPath(new URL('../support/state-probe.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'mxallowd-state-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const KILLS = 30;

/**
 * Starts a process that writes, lets it write so many generations, and kills it a moment later.
 * @returns the last generation that was on the disk as far as it has said
 */
function writeAndKill(path: string, generations: number, laterMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROBE, 'write', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    let isDue = false;
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (isDue || !output.includes(flushedLine(generations))) return;
      isDue = true;
      setTimeout(() => child.kill('SIGKILL'), laterMs);
    });
    child.on('error', reject);
    child.on('close', () => resolve(output.split('\n').length - 1));
  });
}

/** Whether an entry may be as it was found when this generation was on the disk, and later ones were or were not. */
function isPossible(index: number, found: number | undefined, flushed: number, later: number): boolean {
  let state: number | undefined;
  for (let generation = 1; generation <= flushed + later; generation++) {
    if (changes(index, generation)) state = goes(index, generation) ? undefined : generation;
    if (generation >= flushed && state === found) return true;
  }
  return false;
}

function assertPossible(loaded: LoadedAll, flushed: number): void {
  const found = new Map<string, number>(loaded.entries.map(({ prefix, attempts }) => [prefix, attempts]));
  for (let index = 0; index < KILL_ENTRIES; index++) {
    const attempts = found.get(prefixOf(index));
    assert.ok(
      isPossible(index, attempts, flushed, 2),
      `${prefixOf(index)} of ${attempts}, flushed ${flushed}`,
    );
  }
}

describe('kill -9 of a process that writes', () => {
  it(`at ${KILLS} moments: all that was on the disk is there, and the file is in order`, async () => {
    const path = join(folder, 'killed');
    for (let round = 0; round < KILLS; round++) {
      const flushed = await writeAndKill(path, 1 + ((round * 7) % 60), round % 5);
      const loaded = loadAll(path, Date.now());
      assert.equal(loaded.kind, 'loaded');
      assertPossible(loaded, flushed);
      for (const message of messages(loaded)) assert.match(message, /^note: .* ends within a line/);
    }
  });
});

const DISK = 1024 * 1024;

/** Why there can be no small disk of our own; undefined: there can. */
function noSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'not Linux';
  const command = 'mount -t tmpfs tmpfs /tmp';
  return spawnSync('unshare', ['-m', 'sh', '-c', command]).status === 0 ? undefined : 'no tmpfs of our own';
}

describe('a disk that is full', { skip: noSmallDisk() }, () => {
  it('is reported once; with room again all is written; meanwhile the file is as it was last written', () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    const path = join(disk, 'state');
    const kept = join(folder, 'kept');
    // the disk goes with the process: the file is taken out before
    const script = `mount -t tmpfs -o size=${DISK} tmpfs "$1" && "$2" "$3" fill "$4" ${DISK} && cp "$4" "$5"`;
    const output = execFileSync(
      'unshare',
      ['-m', 'sh', '-c', script, 'sh', disk, process.execPath, PROBE, path, kept],
      { encoding: 'utf8' },
    );
    const { events, writtenBefore, meanwhile, prefixes } = JSON.parse(output) as FillResult;
    assert.deepEqual(events, [
      `failed: state file ${path} cannot be written: no space left on the disk (ENOSPC); ` +
        'a restart finds it as it was last written; trying again',
      `recovered: state file ${path} is written again`,
    ]);
    assert.equal(existsSync(path), false);
    assert.ok(writtenBefore.length > 100);
    assert.deepEqual([...meanwhile].sort(), [...writtenBefore].sort());
    const loaded = loadAll(kept, Date.now());
    assert.deepEqual(messages(loaded), []);
    assert.ok(prefixes.includes('192.0.2.2'));
    assert.deepEqual(loaded.entries.map(({ prefix }) => prefix).sort(), [...prefixes].sort());
  });
});
