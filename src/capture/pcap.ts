// The live source by the npm package pcap.
import { endianness } from 'node:os';
import { loadOptional } from './optional.js';
import type * as Pcap from 'pcap';
import {
  CaptureError,
  type CaptureStatistics,
  type FrameSink,
  type FrameSource,
  requirePflog,
} from './source.js';
import { SNAP_LENGTH } from './tcpdump.js';

/** Names that the npm packages use for link types, where they are not `Unknown linktype N`. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  LINKTYPE_NULL: 0,
  NULL: 0,
  LINKTYPE_ETHERNET: 1,
  ETHERNET: 1,
  LINKTYPE_RAW: 101,
  RAW: 101,
  LINKTYPE_LINUX_SLL: 113,
  LINUX_SLL: 113,
};

/**
 * The link type number behind the text that the packages pcap and cap return.
 * @returns -1 for a text that they are not known to return
 */
export function linkTypeNumber(text: string): number {
  const unknown = /^Unknown linktype (\d+)$/.exec(text);
  return unknown === null ? (LINK_TYPES[text] ?? -1) : Number(unknown[1]);
}

/** Makes the error for a failing open of a libpcap based source. */
export function libpcapError(origin: string, error: unknown): CaptureError {
  const message = error instanceof Error ? error.message : String(error);
  const kind = /permission|not permitted|privilege/i.test(message) ? 'permission' : 'died';
  return new CaptureError(`${origin}: ${message.trim()}`, kind);
}

/** Opens a session of the npm package pcap; a parameter so that a recording can stand for an interface. */
export type OpenSession = () => Promise<Pcap.PcapSession>;

/** Opens a live session in immediate mode. */
export async function openLiveSession(interfaceName: string, filter: string): Promise<Pcap.PcapSession> {
  const pcap = await loadPcap();
  // pflog has no address: libpcap's complaint about that says nothing
  pcap.warningHandler = () => undefined;
  return pcap.createSession(interfaceName, {
    filter,
    snap_length: SNAP_LENGTH,
    promiscuous: false,
    buffer_timeout: 0,
  });
}

/**
 * Loads the optional package pcap.
 * @throws CaptureError that says what to install
 */
export function loadPcap(): Promise<typeof Pcap> {
  return loadOptional('pcap', async () => (await import('pcap')) as { default: typeof Pcap });
}

/** libpcap through the npm package pcap, in immediate mode. */
export class PcapSource implements FrameSource {
  readonly description: string;
  private session: Pcap.PcapSession | undefined;
  private received = 0;

  constructor(
    interfaceName: string,
    private readonly openSession: OpenSession,
  ) {
    this.description = `pcap on ${interfaceName}`;
  }

  async open(sink: FrameSink): Promise<void> {
    let session: Pcap.PcapSession;
    try {
      session = await this.openSession();
    } catch (error) {
      throw error instanceof CaptureError ? error : libpcapError(this.description, error);
    }
    this.session = session;
    const linkType = this.checkLinkType(session);
    const littleEndian = endianness() === 'LE';
    session.on('packet', ({ buf, header }) => {
      this.received++;
      const view = new DataView(header.buffer, header.byteOffset, 16);
      sink.frame({
        data: buf,
        offset: 0,
        captureLength: view.getUint32(8, littleEndian),
        originalLength: view.getUint32(12, littleEndian),
        timeMs: view.getUint32(0, littleEndian) * 1000 + view.getUint32(4, littleEndian) / 1000,
        linkType,
        littleEndian,
      });
    });
    session.on('complete', () => sink.end());
  }

  statistics(): CaptureStatistics {
    if (this.session === undefined) return { received: this.received, dropped: undefined };
    const { ps_drop, ps_ifdrop } = this.session.stats();
    return { received: this.received, dropped: ps_drop + ps_ifdrop };
  }

  close(): Promise<void> {
    this.session?.close();
    this.session = undefined;
    return Promise.resolve();
  }

  private checkLinkType(session: Pcap.PcapSession): ReturnType<typeof requirePflog> {
    try {
      return requirePflog(linkTypeNumber(session.link_type), this.description);
    } catch (error) {
      void this.close();
      throw error;
    }
  }
}
