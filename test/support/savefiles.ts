/** Savefiles made by hand: classic pcap and pcapng, of either byte order, right and wrong. */

/** A record of a savefile. */
export interface SavefileRecord {
  readonly bytes: Uint8Array;
  /** whole seconds since 1970 */
  readonly seconds?: number;
  /** microseconds or nanoseconds */
  readonly fraction?: number;
  readonly captureLength?: number;
  readonly originalLength?: number;
}

/** What the header of a classic pcap savefile says. */
export interface PcapFields {
  readonly littleEndian?: boolean;
  readonly nanoseconds?: boolean;
  readonly magic?: number;
  readonly majorVersion?: number;
  readonly linkType?: number;
}

/** A classic pcap savefile: little endian, microseconds, version 2.4, link type 117 unless told. */
export function pcapFile(records: readonly SavefileRecord[], fields: PcapFields = {}): Buffer {
  const littleEndian = fields.littleEndian ?? true;
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, fields.magic ?? (fields.nanoseconds === true ? 0xa1b23c4d : 0xa1b2c3d4), littleEndian);
  header.setUint16(4, fields.majorVersion ?? 2, littleEndian);
  header.setUint16(6, 4, littleEndian);
  header.setUint32(16, 262_144, littleEndian);
  header.setUint32(20, fields.linkType ?? 117, littleEndian);
  const parts = [Buffer.from(header.buffer)];
  for (const record of records) {
    const head = new DataView(new ArrayBuffer(16));
    head.setUint32(0, record.seconds ?? 1_700_000_000, littleEndian);
    head.setUint32(4, record.fraction ?? 0, littleEndian);
    head.setUint32(8, record.captureLength ?? record.bytes.length, littleEndian);
    head.setUint32(12, record.originalLength ?? record.bytes.length, littleEndian);
    parts.push(Buffer.from(head.buffer), Buffer.from(record.bytes));
  }
  return Buffer.concat(parts);
}

/** Rewrites the headers of a little endian microsecond savefile for another byte order or unit; the frames stay. */
export function rewritePcap(
  file: Buffer,
  to: { readonly littleEndian: boolean; readonly nanoseconds: boolean },
): Buffer {
  const out = Buffer.from(file);
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  const swap32 = (at: number): void => view.setUint32(at, view.getUint32(at, true), to.littleEndian);
  const swap16 = (at: number): void => view.setUint16(at, view.getUint16(at, true), to.littleEndian);
  view.setUint32(0, to.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, to.littleEndian);
  swap16(4);
  swap16(6);
  for (const at of [8, 12, 16, 20]) swap32(at);
  for (let at = 24; at < out.length;) {
    const length = view.getUint32(at + 8, true);
    if (to.nanoseconds) view.setUint32(at + 4, view.getUint32(at + 4, true) * 1000, true);
    for (const field of [0, 4, 8, 12]) swap32(at + field);
    at += 16 + length;
  }
  return out;
}

/** An option of a pcapng block. */
export interface PcapngOption {
  readonly code: number;
  readonly value: Uint8Array;
}

/** Makes pcapng blocks of one byte order (draft-ietf-opsawg-pcapng). */
export class PcapngWriter {
  constructor(private readonly littleEndian = true) {}

  /** Any block: type, length, body padded to 4, length. */
  block(type: number, body: Uint8Array, length?: number): Buffer {
    const size = 12 + ((body.length + 3) & ~3);
    const bytes = Buffer.alloc(size);
    this.u32(bytes, 0, type);
    this.u32(bytes, 4, length ?? size);
    bytes.set(body, 8);
    this.u32(bytes, size - 4, length ?? size);
    return bytes;
  }

  /** Section header block. */
  section(byteOrderMagic = 0x1a2b3c4d): Buffer {
    const body = Buffer.alloc(16, 0xff);
    this.u32(body, 0, byteOrderMagic);
    this.u16(body, 4, 1);
    this.u16(body, 6, 0);
    return this.block(0x0a0d0d0a, body);
  }

  /** Interface description block. */
  interface(linkType = 117, snapLength = 0, options: readonly PcapngOption[] = []): Buffer {
    const head = Buffer.alloc(8);
    this.u16(head, 0, linkType);
    this.u32(head, 4, snapLength);
    return this.block(1, Buffer.concat([head, this.options(options)]));
  }

  /** if_tsresol: a power of 10, or with the top bit set of 2. */
  resolution(value: number): PcapngOption {
    return { code: 9, value: Uint8Array.of(value) };
  }

  /** if_tsoffset, in seconds. */
  timeOffset(seconds: bigint): PcapngOption {
    const value = new DataView(new ArrayBuffer(8));
    value.setBigInt64(0, seconds, this.littleEndian);
    return { code: 14, value: new Uint8Array(value.buffer) };
  }

  /** Enhanced packet block, with a comment after the packet. */
  enhanced(interfaceId: number, ticks: bigint, bytes: Uint8Array, originalLength = bytes.length): Buffer {
    const head = Buffer.alloc(20);
    this.u32(head, 0, interfaceId);
    this.ticks(head, ticks);
    this.u32(head, 12, bytes.length);
    this.u32(head, 16, originalLength);
    const comment = this.options([{ code: 1, value: Buffer.from('a comment') }]);
    return this.block(6, Buffer.concat([head, padded(bytes), comment]));
  }

  /** Packet block (obsolete): a 16-bit interface number and a count of drops. */
  packet(interfaceId: number, ticks: bigint, bytes: Uint8Array, originalLength = bytes.length): Buffer {
    const head = Buffer.alloc(20);
    this.u16(head, 0, interfaceId);
    this.u16(head, 2, 7);
    this.ticks(head, ticks);
    this.u32(head, 12, bytes.length);
    this.u32(head, 16, originalLength);
    return this.block(2, Buffer.concat([head, padded(bytes)]));
  }

  /** Simple packet block: no time, no interface, no captured length. */
  simple(bytes: Uint8Array, originalLength = bytes.length): Buffer {
    const head = Buffer.alloc(4);
    this.u32(head, 0, originalLength);
    return this.block(3, Buffer.concat([head, padded(bytes)]));
  }

  private options(options: readonly PcapngOption[]): Buffer {
    const parts = options.flatMap(({ code, value }) => {
      const head = Buffer.alloc(4);
      this.u16(head, 0, code);
      this.u16(head, 2, value.length);
      return [head, padded(value)];
    });
    return options.length === 0 ? Buffer.alloc(0) : Buffer.concat([...parts, Buffer.alloc(4)]);
  }

  private ticks(bytes: Buffer, ticks: bigint): void {
    this.u32(bytes, 4, Number(ticks >> 32n));
    this.u32(bytes, 8, Number(ticks & 0xffffffffn));
  }

  private u16(bytes: Buffer, at: number, value: number): void {
    if (this.littleEndian) bytes.writeUInt16LE(value, at);
    else bytes.writeUInt16BE(value, at);
  }

  private u32(bytes: Buffer, at: number, value: number): void {
    if (this.littleEndian) bytes.writeUInt32LE(value, at);
    else bytes.writeUInt32BE(value, at);
  }
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
