// A random key for the tracker's tables.
import { randomFillSync } from 'node:crypto';
import type { HashKey } from '../tracker/siphash.js';

/** A fresh secret for the tracker's tables. */
export function randomHashKey(): HashKey {
  const [first = 0, second = 0] = randomFillSync(new Int32Array(2));
  return [first, second];
}
