import { chmodSync } from 'node:fs';
import { loadQueueRule, Stage, type StagedDaemon } from '../../src/demo/stage.js';
import { missingTools, World } from '../../src/demo/world.js';
import { loadLibc } from '../../src/native/libc.js';

import type { Scratch } from './cli.js';

const libc = await loadLibc();

/** Why nothing can be staged here; undefined when it can. */
export function stageUnavailable(): string | undefined {
  const mode = World.mode();
  if (typeof mode !== 'string') return mode.unavailable;
  if (!libc.ok) return libc.message;
  return missingTools(['iptables']).length === 0 ? undefined : 'iptables is not installed';
}

/** Why what needs the machine's root cannot be staged here. */
export function rootStageUnavailable(): string | undefined {
  return stageUnavailable() ?? (World.mode() === 'root' ? undefined : 'not root: no users to change to');
}

/** A stage without rules and daemon. */
export function openStage(): Promise<Stage> {
  const mode = World.mode();
  if (typeof mode !== 'string') throw new Error(mode.unavailable);
  return Stage.create(mode);
}

/** A stage with the rule of 1.9, and mxallowd ready behind it. */
export async function openLiveStage(
  args: readonly string[] = ['-n', '23'],
  queue = '--queue-num 23',
): Promise<{ stage: Stage; daemon: StagedDaemon }> {
  const stage = await openStage();
  try {
    await loadQueueRule(stage.world, queue);
    const daemon = stage.startDaemon(args);
    await daemon.ready();
    return { stage, daemon };
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Why nothing can be staged with nftables here. */
export function nftUnavailable(): string | undefined {
  return stageUnavailable() ?? (missingTools(['nft']).length === 0 ? undefined : 'nft is not installed');
}

/** A program that runs nft on the host mx, whoever starts it; its path. */
export function nftWrapper(world: World, scratch: Scratch): string {
  const path = scratch.file(
    'nft',
    `#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\nexec ${world.entering('mx').join(' ')} nft "$@"\n`,
  );
  chmodSync(path, 0o755);
  return path;
}
