// What one read of /dev/bpf brought, split into frames. Pure.
import type { Frame, LinkType } from '../packet/frame.js';

/** A field of a struct: where it begins, and its size in bytes. */
export interface BpfField {
  readonly offset: number;
  readonly size: 4 | 8;
}

/** How a system's struct bpf_hdr is laid out (net/bpf.h), in the machine's byte order. */
export interface BpfLayout {
  /** bytes that the fields take; padding may follow */
  readonly fieldBytes: number;
  readonly seconds: BpfField;
  readonly microseconds: BpfField;
  /** offset of bh_caplen, 32 bits */
  readonly captureLength: number;
  /** offset of bh_datalen, 32 bits */
  readonly originalLength: number;
  /** offset of bh_hdrlen, 16 bits: from the header's begin to the frame */
  readonly headerLength: number;
  /** BPF_ALIGNMENT: the next header begins at a multiple of this, counted from the buffer's begin */
  readonly alignment: number;
}

/** What is the same for all frames of a device. */
export interface BpfFormat {
  readonly layout: BpfLayout;
  readonly linkType: LinkType;
  readonly littleEndian: boolean;
}

/** Why the rest of a buffer could not be used. */
export type BpfDamage =
  'truncated-header' | 'bad-header-length' | 'bad-capture-length' | 'bad-time' | 'truncated-frame';

/**
 * Splits what one read(2) on /dev/bpf returned. Never throws by itself, never reads from `length` on.
 * @param data - the bytes that were read; the frames lie in it
 * @param length - how many bytes were read
 * @param deliver - gets each frame, in order
 * @returns undefined, or why it ends before `length`: a header that makes no sense. The frames before it are right.
 */
export function splitBpfBuffer(
  data: Uint8Array,
  length: number,
  { layout, linkType, littleEndian }: BpfFormat,
  deliver: (frame: Frame) => void,
): BpfDamage | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const end = Math.min(length, data.length);
  const { fieldBytes, alignment } = layout;
  let at = 0;
  while (at < end) {
    if (end - at < fieldBytes) return 'truncated-header';
    const headerLength = view.getUint16(at + layout.headerLength, littleEndian);
    const captureLength = view.getUint32(at + layout.captureLength, littleEndian);
    const originalLength = view.getUint32(at + layout.originalLength, littleEndian);
    const microseconds = readField(view, at, layout.microseconds, littleEndian);
    if (headerLength < fieldBytes) return 'bad-header-length';
    if (captureLength > originalLength) return 'bad-capture-length';
    if (microseconds < 0 || microseconds > 999_999) return 'bad-time';
    const offset = at + headerLength;
    if (captureLength > end - offset) return 'truncated-frame';
    const timeMs = readField(view, at, layout.seconds, littleEndian) * 1000 + microseconds / 1000;
    deliver({ data, offset, captureLength, originalLength, timeMs, linkType, littleEndian });
    at = (offset + captureLength + alignment - 1) & -alignment;
  }
  return undefined;
}

/** A time's number: unsigned in 32 bits (good until 2106), signed in 64. */
function readField(view: DataView, at: number, { offset, size }: BpfField, littleEndian: boolean): number {
  const first = at + offset;
  if (size === 4) return view.getUint32(first, littleEndian);
  const low = view.getUint32(littleEndian ? first : first + 4, littleEndian);
  const high = view.getInt32(littleEndian ? first + 4 : first, littleEndian);
  return high * 2 ** 32 + low;
}
