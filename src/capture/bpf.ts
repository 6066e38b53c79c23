// The live source by /dev/bpf.
import { endianness } from 'node:os';
import { type LibcResult, loadLibc } from '../native/libc.js';
import { SystemCallError } from '../native/system-call.js';
import { escapeText } from '../packet/escape.js';
import type { Frame } from '../packet/frame.js';
import { type BpfDamage, type BpfFormat, splitBpfBuffer } from './bpf-buffer.js';
import { BpfDevice, type BpfFunctions, findBpfFunctions } from './bpf-device.js';
import { type BpfProgram, compileBpfFilter } from './bpf-filter.js';
import { explainBpf } from './bpf-problem.js';
import { type BpfSystem, findBpfSystem } from './bpf-systems.js';
import {
  CaptureError,
  type CaptureStatistics,
  type FrameSink,
  type FrameSource,
  requirePflog,
} from './source.js';

/**
 * What we ask for; the kernel has two such buffers. Room for more than 5,000 SYNs in each while we do something
 * else. OpenBSD gives up to 2 MiB, FreeBSD 512 KiB unless net.bpf.maxbufsize is raised: it cuts this itself.
 */
const BUFFER_LENGTH = 1 << 20;
/** Reads do not wait. Should one ever do so, it ends after this time. */
const READ_TIMEOUT_MS = 100;
/** The version of the filter's language (net/bpf.h BPF_MAJOR_VERSION, BPF_MINOR_VERSION). */
const FILTER_VERSION = { major: 1, minor: 1 } as const;

/** What a source on /dev/bpf is asked for. */
export interface BpfSettings {
  readonly interfaceName: string;
  /** filter expression */
  readonly filter: string;
  readonly platform: NodeJS.Platform;
  /** process.arch */
  readonly architecture: string;
}

/**
 * Makes a source, not yet opened.
 * @param load - gives the C library
 * @throws CaptureError (`unavailable`) where this source cannot serve: the wrong system, a filter that it does not
 *   know, no koffi
 */
export async function makeBpfSource(
  { interfaceName, filter, platform, architecture }: BpfSettings,
  load: () => Promise<LibcResult> = loadLibc,
): Promise<BpfSource> {
  const unavailable = (why: string): CaptureError => new CaptureError(`capture "bpf" ${why}`, 'unavailable');
  if (platform !== 'openbsd' && platform !== 'freebsd') {
    throw unavailable(`is for OpenBSD and FreeBSD; this is ${platform}`);
  }
  const system = findBpfSystem(platform, architecture);
  if (system === undefined) throw unavailable(`does not know ${platform} on ${architecture}`);
  const program = compileBpfFilter(filter);
  if (program === undefined) {
    throw unavailable(
      `knows no filter but "port N" (or "port N or port M"), not "${escapeText(filter)}": take tcpdump or pcap for it`,
    );
  }
  const loaded = await load();
  if (!loaded.ok) throw unavailable(loaded.message);
  const functions = findBpfFunctions(loaded.libc);
  if (functions === undefined) throw unavailable('does not find its functions in the C library');
  return new BpfSource(interfaceName, system, functions, program);
}

/** Reads /dev/bpf itself: each frame comes at once. Root is needed to open it, not afterwards. */
export class BpfSource implements FrameSource {
  readonly description: string;
  private device: BpfDevice | undefined;
  private received = 0;
  private dropped: number | undefined;
  private kernelDropped = 0;
  private damaged = 0;
  private readonly littleEndian = endianness() === 'LE';

  constructor(
    private readonly interfaceName: string,
    private readonly system: BpfSystem,
    private readonly functions: BpfFunctions,
    private readonly program: BpfProgram,
  ) {
    this.description = `bpf on ${interfaceName}`;
  }

  open(sink: FrameSink): Promise<void> {
    return new Promise((resolve) => {
      try {
        const device = new BpfDevice(this.functions, this.system, this.littleEndian);
        this.device = device;
        this.setUp(device, sink);
        this.dropped = 0;
      } catch (error) {
        this.release();
        throw this.explain(error);
      }
      resolve();
    });
  }

  statistics(): CaptureStatistics {
    this.countDropped();
    return { received: this.received, dropped: this.dropped };
  }

  close(): Promise<void> {
    this.countDropped();
    this.release();
    return Promise.resolve();
  }

  /** The order matters: the buffer before the interface, the poll before the lock, the lock last. */
  private setUp(device: BpfDevice, sink: FrameSink): void {
    const { major, minor } = device.version();
    if (major !== FILTER_VERSION.major || minor < FILTER_VERSION.minor) {
      throw new CaptureError(
        `${this.description}: filters of version ${major}.${minor}, expected 1.1`,
        'unavailable',
      );
    }
    device.set('BIOCSBLEN', BUFFER_LENGTH);
    device.setInterface(this.interfaceName);
    const linkType = requirePflog(device.get('BIOCGDLT'), this.description);
    device.setFilter(this.program);
    const data = new Uint8Array(device.get('BIOCGBLEN'));
    device.setReadTimeout(READ_TIMEOUT_MS);
    // OpenBSD does not call a device readable without it, until its buffer is full
    device.set('BIOCIMMEDIATE', 1);
    const format: BpfFormat = { layout: this.system.layout, linkType, littleEndian: this.littleEndian };
    device.whenReadable((failed) => this.readOn(device, data, format, sink, failed));
    device.lock();
  }

  /** One read for each call: what is left calls again, and others get their turn. */
  private readOn(
    device: BpfDevice,
    data: Uint8Array,
    format: BpfFormat,
    sink: FrameSink,
    failed: boolean,
  ): void {
    let length = 0;
    try {
      length = device.read(data);
      if (length === 0 && failed) throw new SystemCallError('poll', 'EBADF');
    } catch (error) {
      this.countDropped();
      this.release();
      sink.error(this.explain(error));
      return;
    }
    const damage = splitBpfBuffer(data, length, format, (frame) => this.deliver(frame, sink));
    if (damage !== undefined) this.sayDamage(damage, sink);
  }

  private deliver(frame: Frame, sink: FrameSink): void {
    if (this.device === undefined) return;
    this.received++;
    sink.frame(frame);
  }

  /** The 1st, 2nd, 4th, 8th ... time. */
  private sayDamage(damage: BpfDamage, sink: FrameSink): void {
    const count = ++this.damaged;
    if (this.device === undefined || (count & (count - 1)) !== 0) return;
    const times = count === 1 ? 'a read' : `${count} reads`;
    sink.notice(
      `${this.description}: ${times} had a rest that makes no sense (${damage}); frames are lost`,
      'warning',
    );
  }

  /** The kernel's number has 32 bits and begins again at 0. */
  private countDropped(): void {
    if (this.device === undefined || this.dropped === undefined) return;
    try {
      const { dropped } = this.device.statistics();
      this.dropped += (dropped - this.kernelDropped) >>> 0;
      this.kernelDropped = dropped;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
    }
  }

  private release(): void {
    this.device?.close();
    this.device = undefined;
  }

  private explain(error: unknown): CaptureError {
    if (error instanceof CaptureError) return error;
    if (!(error instanceof SystemCallError)) throw error;
    const { platform, devices } = this.system;
    return explainBpf(error, { platform, device: devices[0] ?? '', interfaceName: this.interfaceName });
  }
}
