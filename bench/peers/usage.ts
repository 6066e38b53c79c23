// CPU and memory of all that runs on a host of a World.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { World } from '../../src/demo/world.js';

/** Of /proc/PID/stat, counted from the state (proc(5)): own time, and that of children that have been waited for. */
const USER_TIME = 11;
const TIMES = 4;
/** Clock ticks, USER_HZ (always 100 on Linux). */
const TICKS_PER_SECOND = 100;

/** What has been used. */
export interface Usage {
  readonly cpuS: number;
  /** proportional set size, MiB */
  readonly memoryMb: number;
}

/** Adds up what the processes on the host mx use, and have used. */
export async function usageOf(world: World): Promise<Usage> {
  const network = (await world.script('readlink /proc/self/ns/net', 'mx')).trim();
  let ticks = 0;
  let kilobytes = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) !== network) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += fields.slice(USER_TIME, USER_TIME + TIMES).reduce((sum, field) => sum + Number(field), 0);
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      kilobytes += Number(/^Pss: +(\d+)/m.exec(rollup)?.[1] ?? 0);
    } catch {
      // it has ended meanwhile; its parent has its time
    }
  }
  return { cpuS: ticks / TICKS_PER_SECOND, memoryMb: kilobytes / 1024 };
}
