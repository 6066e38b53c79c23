// The live source by the npm package cap.
import { endianness } from 'node:os';
import { loadOptional } from './optional.js';
import type * as CapModule from 'cap';
import { libpcapError, linkTypeNumber } from './pcap.js';
import {
  type CaptureStatistics,
  type FrameSink,
  type FrameSource,
  requirePflog,
  type RequireLinkType,
} from './source.js';

const KERNEL_BUFFER = 2 * 1024 * 1024;
const FRAME_BUFFER = 65535;

/**
 * Loads the optional package cap.
 * @throws CaptureError that says what to install
 */
export function loadCap(): Promise<typeof CapModule> {
  return loadOptional('cap', async () => (await import('cap')) as { default: typeof CapModule });
}

/**
 * Every Cap there was. The destructor of cap 0.2.1 stops a poll handle that a failed open has not initialised, and
 * ends an asynchronous resource in the middle of garbage collection: either is SIGSEGV. So none is ever collected.
 */
const kept: CapModule.Cap[] = [];

/**
 * libpcap through the npm package cap. It has immediate mode on Linux only: elsewhere frames come up to a second
 * late. It gives no time stamps and no statistics.
 */
export class CapSource implements FrameSource {
  readonly description: string;
  private cap: CapModule.Cap | undefined;
  private received = 0;

  /**
   * @param wallClockMs - milliseconds since 1970, for the frames' times
   * @param accept - checks the link type
   */
  constructor(
    private readonly interfaceName: string,
    private readonly filter: string,
    private readonly wallClockMs: () => number,
    private readonly accept: RequireLinkType = requirePflog,
  ) {
    this.description = `cap on ${interfaceName}`;
  }

  async open(sink: FrameSink): Promise<void> {
    const { Cap } = await loadCap();
    const cap = new Cap();
    kept.push(cap);
    const data = Buffer.alloc(FRAME_BUFFER);
    const littleEndian = endianness() === 'LE';
    let linkText: string;
    try {
      linkText = cap.open(this.interfaceName, this.filter, KERNEL_BUFFER, data);
    } catch (error) {
      throw libpcapError(this.description, error);
    }
    this.cap = cap;
    try {
      const linkType = this.accept(linkTypeNumber(linkText), this.description);
      cap.on('packet', (length) => {
        this.received++;
        const frame = { data, offset: 0, captureLength: length, originalLength: length };
        sink.frame({ ...frame, timeMs: this.wallClockMs(), linkType, littleEndian });
      });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  statistics(): CaptureStatistics {
    return { received: this.received, dropped: undefined };
  }

  close(): Promise<void> {
    this.cap?.close();
    this.cap = undefined;
    return Promise.resolve();
  }
}
