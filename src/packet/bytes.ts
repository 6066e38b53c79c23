// Reads numbers in network byte order. Pure.

/** A 16-bit unsigned number in network byte order; the caller has checked that both bytes are there. */
export function uint16(data: Uint8Array, offset: number): number {
  return ((data[offset] as number) << 8) | (data[offset + 1] as number);
}

/** A 32-bit signed number in network byte order; the caller has checked that the four bytes are there. */
export function int32(data: Uint8Array, offset: number): number {
  return (uint16(data, offset) << 16) | uint16(data, offset + 2);
}
