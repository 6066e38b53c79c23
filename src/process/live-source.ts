// The live source that the configuration asks for, on this machine.
import { release } from 'node:os';
import { selectSource } from '../capture/select.js';
import type { FrameSource } from '../capture/source.js';
import type { Config } from '../config/config.js';
import { systemClock } from '../clock.js';

/** Makes the live source that the configuration asks for, on this machine. */
export function liveSource(config: Config): Promise<FrameSource> {
  const { capture, firewall, nflogGroup, pflogInterface, pcapFilter, tcpdump } = config;
  return selectSource({
    capture,
    interfaceName: pflogInterface,
    filter: pcapFilter,
    tcpdumpPath: tcpdump,
    nflogGroup: firewall === 'nft' ? nflogGroup : undefined,
    platform: process.platform,
    architecture: process.arch,
    release: release(),
    wallClockMs: systemClock.wallMs,
  });
}
