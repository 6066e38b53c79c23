// The savefile format pcapng. Pure.
import type { Frame, LinkType } from '../packet/frame.js';
import { MAX_CAPTURE_LENGTH, type SavefileFormat } from './pcap-format.js';
import { CaptureError, type RequireLinkType } from './source.js';
import { amount } from '../words.js';

/** Block types (draft-ietf-opsawg-pcapng section 11.1). */
const Block = { SECTION: 0x0a0d0d0a, INTERFACE: 1, PACKET: 2, SIMPLE: 3, ENHANCED: 6 } as const;

/** Options of an interface block (section 4.2). */
const Option = { END: 0, TIME_RESOLUTION: 9, TIME_OFFSET: 14 } as const;

/** Section 4.1. */
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** A type and two lengths (section 3.1). */
const MIN_BLOCK = 12;
const MAX_BLOCK = MAX_CAPTURE_LENGTH + (1 << 16);

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly ticksPerMs: number;
  readonly offsetMs: number;
}

/** Whether a file that begins with these four bytes is pcapng (the section block's type reads the same both ways). */
export function isPcapngMagic(magic: number): boolean {
  return magic === Block.SECTION;
}

/**
 * pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces with their link type and time
 * resolution; enhanced, simple and (obsolete) packet blocks. Blocks of other types are passed over.
 */
export class PcapngFormat implements SavefileFormat {
  private littleEndian = true;
  private interfaces: Interface[] = [];
  private lastTimeMs = 0;

  /** @param require - says which link types are wanted */
  constructor(
    private readonly origin: string,
    private readonly require: RequireLinkType,
  ) {}

  read(data: Buffer, deliver: (frame: Frame) => void): number {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    let at = 0;
    while (at + MIN_BLOCK <= data.length) {
      if (view.getUint32(at, true) === Block.SECTION) this.startSection(view, at);
      const length = view.getUint32(at + 4, this.littleEndian);
      if (length < MIN_BLOCK || length > MAX_BLOCK || length % 4 !== 0) {
        throw this.damaged(`a block of ${amount(length, 'byte')}`);
      }
      if (at + length > data.length) break;
      this.readBlock(data, view, at, length, deliver);
      at += length;
    }
    return at;
  }

  private readBlock(
    data: Buffer,
    view: DataView,
    at: number,
    length: number,
    deliver: (frame: Frame) => void,
  ): void {
    const type = view.getUint32(at, this.littleEndian);
    const bodyEnd = at + length - 4;
    const need = (bytes: number): void => {
      if (at + 8 + bytes > bodyEnd)
        throw this.damaged(`a block of type ${type} with only ${amount(length, 'byte')}`);
    };
    const u32 = (offset: number): number => view.getUint32(at + offset, this.littleEndian);
    if (type === Block.INTERFACE) {
      need(8);
      this.interfaces.push(this.readInterface(view, at, bodyEnd));
    } else if (type === Block.ENHANCED || type === Block.PACKET) {
      need(20);
      const index = type === Block.ENHANCED ? u32(8) : view.getUint16(at + 8, this.littleEndian);
      const source = this.interfaces[index];
      if (source === undefined) throw this.damaged(`a packet of interface ${index}, which is not described`);
      this.lastTimeMs = (u32(12) * 2 ** 32 + u32(16)) / source.ticksPerMs + source.offsetMs;
      need(20 + u32(20));
      deliver(this.frame(data, at + 28, u32(20), u32(24), source));
    } else if (type === Block.SIMPLE) {
      need(4);
      const source = this.interfaces[0];
      if (source === undefined) throw this.damaged('a packet before any interface');
      const limit = source.snapLength === 0 ? u32(8) : Math.min(u32(8), source.snapLength);
      need(4 + limit);
      deliver(this.frame(data, at + 12, limit, u32(8), source));
    }
  }

  private frame(
    data: Buffer,
    offset: number,
    captureLength: number,
    originalLength: number,
    source: Interface,
  ): Frame {
    const linkType: LinkType = this.require(source.linkType, this.origin);
    const { lastTimeMs: timeMs, littleEndian } = this;
    return { data, offset, captureLength, originalLength, timeMs, linkType, littleEndian };
  }

  private startSection(view: DataView, at: number): void {
    this.littleEndian = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    if (!this.littleEndian && view.getUint32(at + 8, false) !== BYTE_ORDER_MAGIC) {
      throw this.damaged('a section without byte order mark');
    }
    this.interfaces = [];
  }

  private readInterface(view: DataView, at: number, end: number): Interface {
    const linkType = view.getUint16(at + 8, this.littleEndian);
    let ticksPerMs = 1e3;
    let offsetMs = 0;
    for (let option = at + 16; option + 4 <= end;) {
      const code = view.getUint16(option, this.littleEndian);
      const length = view.getUint16(option + 2, this.littleEndian);
      if (code === Option.END || option + 4 + length > end) break;
      if (code === Option.TIME_RESOLUTION && length === 1) ticksPerMs = resolution(view.getUint8(option + 4));
      if (code === Option.TIME_OFFSET && length === 8) {
        offsetMs = Number(view.getBigInt64(option + 4, this.littleEndian)) * 1000;
      }
      option += 4 + ((length + 3) & ~3);
    }
    const snapLength = view.getUint32(at + 12, this.littleEndian);
    return { linkType, snapLength, ticksPerMs, offsetMs };
  }

  private damaged(what: string): CaptureError {
    return new CaptureError(`${this.origin}: damaged: ${what}`, 'data');
  }
}

/** Ticks in a millisecond for an if_tsresol byte: a power of 10, or of 2 when the top bit is set. */
function resolution(value: number): number {
  return ((value & 0x80) === 0 ? 10 ** value : 2 ** (value & 0x7f)) / 1000;
}
