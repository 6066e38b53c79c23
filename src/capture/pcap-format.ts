// The classic savefile format, pcap-savefile(5). Pure.
import type { Frame, LinkType } from '../packet/frame.js';
import { CaptureError, type RequireLinkType } from './source.js';
import { amount } from '../words.js';

/** Reads one savefile format, fed with chunks. */
export interface SavefileFormat {
  /**
   * Reads the complete records in `data`.
   * @param data - bytes that no earlier call has consumed, then new ones
   * @param deliver - gets each frame; its bytes lie in `data`
   * @returns number of bytes consumed
   * @throws CaptureError on anything that is not the format
   */
  read(data: Buffer, deliver: (frame: Frame) => void): number;
}

/** The largest record that is believed: larger than any snap length (libpcap MAXIMUM_SNAPLEN is 262,144). */
export const MAX_CAPTURE_LENGTH = 1 << 20;

/** Magic numbers as a little endian reader sees them, with what they mean (draft-ietf-opsawg-pcap section 4). */
const MAGIC: ReadonlyMap<number, { readonly littleEndian: boolean; readonly ticksPerMs: number }> = new Map([
  [0xa1b2c3d4, { littleEndian: true, ticksPerMs: 1e3 }],
  [0xd4c3b2a1, { littleEndian: false, ticksPerMs: 1e3 }],
  [0xa1b23c4d, { littleEndian: true, ticksPerMs: 1e6 }],
  [0x4d3cb2a1, { littleEndian: false, ticksPerMs: 1e6 }],
]);

/** Sizes of the file header and of the header of each record (draft-ietf-opsawg-pcap sections 4 and 5). */
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

/** Whether a file that begins with these four bytes (read as little endian) is a classic pcap savefile. */
export function isPcapMagic(magic: number): boolean {
  return MAGIC.has(magic);
}

/**
 * Classic pcap, both byte orders, microseconds and nanoseconds: magic u32, version 2 × u16, thiszone i32, sigfigs
 * u32, snaplen u32, link type u32 (the low 16 bits); then records: seconds u32, fraction u32, captured u32,
 * original u32, bytes.
 */
export class PcapFormat implements SavefileFormat {
  private littleEndian = true;
  private ticksPerMs = 1e3;
  private linkType: LinkType | undefined;

  /** @param require - says which link types are wanted */
  constructor(
    private readonly origin: string,
    private readonly require: RequireLinkType,
  ) {}

  read(data: Buffer, deliver: (frame: Frame) => void): number {
    let at = 0;
    if (this.linkType === undefined) {
      if (data.length < FILE_HEADER) return 0;
      this.linkType = this.readFileHeader(data);
      at = FILE_HEADER;
    }
    const { linkType, littleEndian, ticksPerMs } = this;
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    while (at + RECORD_HEADER <= data.length) {
      const captureLength = view.getUint32(at + 8, littleEndian);
      if (captureLength > MAX_CAPTURE_LENGTH) {
        throw new CaptureError(
          `${this.origin}: damaged: a record of ${amount(captureLength, 'byte')}, at most ${MAX_CAPTURE_LENGTH} expected`,
          'data',
        );
      }
      const next = at + RECORD_HEADER + captureLength;
      if (next > data.length) break;
      deliver({
        data,
        offset: at + RECORD_HEADER,
        captureLength,
        originalLength: view.getUint32(at + 12, littleEndian),
        timeMs: view.getUint32(at, littleEndian) * 1000 + view.getUint32(at + 4, littleEndian) / ticksPerMs,
        linkType,
        littleEndian,
      });
      at = next;
    }
    return at;
  }

  private readFileHeader(data: Buffer): LinkType {
    const magic = MAGIC.get(data.readUInt32LE(0));
    if (magic === undefined) throw new CaptureError(`${this.origin}: not a pcap savefile`, 'data');
    this.littleEndian = magic.littleEndian;
    this.ticksPerMs = magic.ticksPerMs;
    const version = magic.littleEndian ? data.readUInt16LE(4) : data.readUInt16BE(4);
    if (version !== 2) {
      throw new CaptureError(`${this.origin}: pcap version ${version}, expected 2`, 'data');
    }
    const linkType = (magic.littleEndian ? data.readUInt32LE(20) : data.readUInt32BE(20)) & 0xffff;
    return this.require(linkType, this.origin);
  }
}
