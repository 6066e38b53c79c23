// The checksum of a line. Pure.

/** CRC-32 of the 256 bytes (IEEE 802.3, reflected: polynomial 0xedb88320). */
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  return sum;
});

/**
 * CRC-32 of a part of a buffer, as zlib's crc32 has it. That one wants a buffer object of its own for each line: when
 * a hundred thousand lines are read at the start, making and collecting these takes longer than all the rest.
 * @param seed - the checksum of what stands before
 * @returns 32 bits, unsigned
 */
export function checksumOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let sum = ~seed;
  for (let at = start; at < end; at++) {
    sum = (TABLE[(sum ^ (bytes[at] as number)) & 255] as number) ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}
