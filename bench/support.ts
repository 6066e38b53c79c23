import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { SavefileParser } from '../src/capture/savefile-parser.js';
import type { Log } from '../src/log/log.js';
import { parseAddress, type Address } from '../src/packet/address.js';
import type { Frame } from '../src/packet/frame.js';
import type { TrackerConfig } from '../src/tracker/tracker.js';
import { packageFolder } from '../src/version.js';
import { ask } from '../test/support/control.js';
import type { Workplace } from '../test/support/daemon.js';

/** The machine in a line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${model}, ${cpus().length} CPUs, ${memory} GiB, ${platform()} ${release()} ${arch()}, Node ${process.version}`;
}

export function address(text: string): Address {
  const value = parseAddress(text);
  if (value === undefined) throw new Error(text);
  return value;
}

/** The addresses of the recordings. */
export const TRACKER_CONFIG: TrackerConfig = {
  fake: [address('192.168.1.3'), address('2001:dead:beef::2')],
  real: [address('192.168.1.4'), address('2001:dead:beef::1')],
  allow: [],
  port: 25,
  whitelistTimeMs: 3_600_000,
  knownTimeMs: 8 * 86_400_000,
  outbound: false,
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  maxEntries: 100_000,
  authority: 'whitelist',
};

/** All frames of a recording. */
export function recordedFrames(name: string): Frame[] {
  const frames: Frame[] = [];
  const path = join(packageFolder(), 'examples', 'recordings', name);
  new SavefileParser(name, (frame) => frames.push(frame)).push(readFileSync(path));
  return frames;
}

const HEADER = 64;
const SOURCE_OFFSET = { 4: HEADER + 12, 6: HEADER + 8 } as const;

/**
 * SYNs to port 25 from so many different senders, one after the other in one buffer as a capture delivers them, in
 * an order that a cache cannot guess; made from a recorded frame. Sources are 10.x.x.x and on, or 2001:db8:x:x::1.
 */
export function frames(family: 4 | 6, count: number, target: 'fake' | 'real', first = 0): Frame[] {
  const [recorded] = recordedFrames(family === 4 ? '01-block-v4-syn.pcap' : '02-block-v6-syn.pcap');
  if (recorded === undefined) throw new Error('no frame');
  const { captureLength } = recorded;
  const data = Buffer.alloc(captureLength * count);
  const indexes = shuffled(Array.from({ length: count }, (_, index) => first + index));
  return indexes.map((index, place) => {
    const offset = place * captureLength;
    data.set(recorded.data.subarray(recorded.offset, recorded.offset + captureLength), offset);
    if (family === 4) {
      data.writeUInt32BE(0x0a000000 + index, offset + SOURCE_OFFSET[4]);
      data[offset + HEADER + 19] = target === 'fake' ? 3 : 4;
    } else {
      data.writeUInt32BE(0x20010db8, offset + SOURCE_OFFSET[6]);
      data.writeUInt32BE(index, offset + SOURCE_OFFSET[6] + 4);
      data.fill(0, offset + SOURCE_OFFSET[6] + 8, offset + SOURCE_OFFSET[6] + 15);
      data[offset + SOURCE_OFFSET[6] + 15] = 1;
      data[offset + HEADER + 39] = target === 'fake' ? 2 : 1;
    }
    data.writeUInt32BE(nextSequence++, offset + HEADER + IP_LENGTH[family] + 4);
    return { ...recorded, data, offset };
  });
}

/** Each frame is a SYN of its own: its sequence number is another one. */
let nextSequence = 1;
const IP_LENGTH = { 4: 20, 6: 40 } as const;

/** The same items in an order that a cache cannot guess; always the same one. */
export function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  let state = 12345;
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const j = state % (i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** Middle, least and greatest of some numbers. */
export function spread(values: readonly number[]): { median: number; min: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), min: sorted[0] ?? NaN, max: sorted.at(-1) ?? NaN };
}

/** @param sorted - ascending */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Says whether a figure reaches its target. */
export function verdict(reached: boolean): string {
  return reached ? 'reached' : 'NOT REACHED';
}

/** A log that goes nowhere. */
export const quietLog: Log = {
  write: () => undefined,
  isEnabled: () => false,
  setLevel: () => undefined,
  description: 'nowhere',
  lost: 0,
  close: () => Promise.resolve(),
};

/** Whom the daemon becomes: root has a monitor and an engine, others one process. */
export const DAEMON_USER = process.getuid?.() === 0 ? 'nobody' : 'root';

/** Resident set of a process in MB. */
export function residentMb(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
}

/** The process that judges. */
export async function engineOf(place: Workplace): Promise<number> {
  const { enginePid, pid } = (await ask(place.controlSocket, { command: 'status' })).result;
  return enginePid ?? pid;
}
