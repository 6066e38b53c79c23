/** What a read of /dev/bpf returns: recorded, and made by hand. */
import { readFileSync } from 'node:fs';
import type { BpfFormat } from '../../src/capture/bpf-buffer.js';
import { findBpfSystem } from '../../src/capture/bpf-systems.js';
import { LinkType } from '../../src/packet/frame.js';
import { fixturePath } from './recordings.js';

/**
 * The reads of a recording: for each a length (u32, little endian), and its bytes.
 * @param folder - below test/fixtures; FreeBSD 10.4's
 */
export function bpfReads(name: string, folder = 'bpf'): Uint8Array[] {
  const bytes = readFileSync(fixturePath(`${folder}/${name}`));
  const reads: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    reads.push(Uint8Array.from(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return reads;
}

/** The format of a system that is known. */
export function bpfFormat(
  platform: 'openbsd' | 'freebsd',
  architecture: string,
  littleEndian = true,
): BpfFormat {
  const system = findBpfSystem(platform, architecture);
  if (system === undefined) throw new Error(`${platform} on ${architecture}`);
  return { layout: system.layout, linkType: LinkType.PFLOG, littleEndian };
}

/** A frame, and what its header says. */
export interface BpfRecord {
  readonly bytes: Uint8Array;
  readonly seconds: number;
  readonly microseconds: number;
  readonly originalLength?: number;
}

/** A buffer as the kernel fills it; padding is 0xee, and there is none after the last frame. */
export function bpfFrames(
  { layout, littleEndian }: BpfFormat,
  headerLength: number,
  records: readonly BpfRecord[],
): Uint8Array<ArrayBuffer> {
  const padded = (length: number): number => Math.ceil(length / layout.alignment) * layout.alignment;
  const starts: number[] = [];
  let end = 0;
  for (const { bytes } of records) {
    starts.push(padded(end));
    end = padded(end) + headerLength + bytes.length;
  }
  const buffer = new Uint8Array(end).fill(0xee);
  records.forEach(({ bytes, seconds, microseconds, originalLength }, index) => {
    const start = starts[index] ?? 0;
    const view = new DataView(buffer.buffer, start, headerLength);
    const setTime = ({ offset, size }: { offset: number; size: number }, value: number): void => {
      if (size === 8) view.setBigInt64(offset, BigInt(value), littleEndian);
      else view.setUint32(offset, value, littleEndian);
    };
    setTime(layout.seconds, seconds);
    setTime(layout.microseconds, microseconds);
    view.setUint32(layout.captureLength, bytes.length, littleEndian);
    view.setUint32(layout.originalLength, originalLength ?? bytes.length, littleEndian);
    view.setUint16(layout.headerLength, headerLength, littleEndian);
    buffer.set(bytes, start + headerLength);
  });
  return buffer;
}
