// Chooses the live source for a system, or says why there is none.
import type { CaptureName } from '../config/names.js';
import { makeBpfSource } from './bpf.js';
import { CapSource, loadCap } from './cap.js';
import { makeNflogSource } from './nflog.js';
import { loadPcap, openLiveSession, PcapSource } from './pcap.js';

import { CaptureError, type FrameSource, requireNflog, requirePflog } from './source.js';
import { findTcpdump, TcpdumpSource, tcpdumpArguments } from './tcpdump.js';

/**
 * What `auto` tries, in this order; it goes on only when one is unavailable, not when one cannot be opened. cap is
 * never among them on a BSD: it has no immediate mode there. OpenBSD: pcap and cap do not build.
 */
const AUTO: Partial<Record<NodeJS.Platform, readonly CaptureName[]>> = {
  openbsd: ['bpf', 'tcpdump'],
  freebsd: ['bpf', 'pcap', 'tcpdump'],
  linux: ['pcap', 'cap', 'tcpdump'],
};
/** The same where nftables tells us. */
const AUTO_NFLOG: readonly CaptureName[] = ['nflog', 'tcpdump'];

/** What a live source needs to know. */
export interface CaptureSettings {
  readonly capture: 'auto' | CaptureName;
  readonly interfaceName: string;
  readonly filter: string;
  /** absolute path; undefined: where the system keeps it */
  readonly tcpdumpPath: string | undefined;
  readonly platform: NodeJS.Platform;
  /** the group of NFLOG by which nftables tells us; undefined: it is pf that does */
  readonly nflogGroup?: number | undefined;
  /** process.arch */
  readonly architecture: string;
  /** os.release() */
  readonly release: string;
  /** milliseconds since 1970 */
  readonly wallClockMs: () => number;
}

/**
 * Makes the live source that the settings ask for, not yet opened. A tcpdump that is named is what `auto` takes.
 * @throws CaptureError (`unavailable`) that says what to install
 */
export async function selectSource(settings: CaptureSettings): Promise<FrameSource> {
  if (settings.capture !== 'auto') return makeSource(settings.capture, settings);
  const auto = settings.nflogGroup === undefined ? AUTO[settings.platform] : AUTO_NFLOG;
  const names = settings.tcpdumpPath === undefined ? auto : undefined;
  const problems: string[] = [];
  for (const name of names ?? (['tcpdump'] as const)) {
    try {
      return await makeSource(name, settings);
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      problems.push(error.message);
    }
  }
  throw new CaptureError(`no capture source is available: ${problems.join('; ')}`, 'unavailable');
}

async function makeSource(name: CaptureName, settings: CaptureSettings): Promise<FrameSource> {
  const { platform, release, nflogGroup, wallClockMs } = settings;
  const isNflog = nflogGroup !== undefined;
  const interfaceName = isNflog ? `nflog:${nflogGroup}` : settings.interfaceName;
  // libpcap compiles none for such messages: what there is comes from our rules alone
  const filter = isNflog ? '' : settings.filter;
  switch (name) {
    case 'bpf':
      return makeBpfSource(settings);
    case 'nflog':
      if (isNflog) return makeNflogSource(nflogGroup, wallClockMs);
      throw new CaptureError(
        'capture "nflog" is for nftables (Linux): pf does not write to it',
        'unavailable',
      );
    case 'tcpdump': {
      const path = settings.tcpdumpPath ?? findTcpdump();
      if (path === undefined) {
        throw new CaptureError(
          'capture "tcpdump" needs tcpdump (part of OpenBSD and FreeBSD; elsewhere the package tcpdump), ' +
            'or its path in --tcpdump',
          'unavailable',
        );
      }
      return new TcpdumpSource(
        path,
        tcpdumpArguments(platform, release, interfaceName, filter),
        interfaceName,
        isNflog ? requireNflog : requirePflog,
      );
    }
    case 'pcap':
      await loadPcap();
      return new PcapSource(interfaceName, () => openLiveSession(interfaceName, filter));
    case 'cap':
      await loadCap();
      return new CapSource(interfaceName, filter, wallClockMs);
  }
}
