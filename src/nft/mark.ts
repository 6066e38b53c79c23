// The comment by which our table is known. Pure.
import type { NftMode } from './spec.js';

/** What our table's comment says. */
export interface NftMark {
  /** of what is written here */
  readonly version: number;
  readonly mode: NftMode;
  /** a check sum of sets and rules */
  readonly shape: string;
}

/** The comment of our table. */
export function markText({ version, mode, shape }: NftMark): string {
  return `mxallowd ${version} ${mode} ${shape}`;
}

/** What such a comment says; undefined: it is none of ours. */
export function parseMark(comment: string): NftMark | undefined {
  const match = /^mxallowd (\d{1,6}) (live|learn) ([0-9a-f]{8})$/.exec(comment);
  if (match === null) return undefined;
  const [, version, mode, shape = ''] = match;
  return { version: Number(version), mode: mode as NftMode, shape };
}
