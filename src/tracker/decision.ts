// What becomes of an observation.
import type { Entry } from './whitelist.js';

/** Why an observation is neither attempt nor refusal nor admission. */
export type UnjudgedReason =
  | 'not-inbound'
  | 'not-a-verdict'
  | 'dropped-after-pass'
  | 'ip-options'
  | 'same-packet'
  | 'not-syn'
  | 'other-port'
  | 'other-destination'
  | 'impossible-source';

/** What the tracker makes of an observation. */
export type Decision =
  | {
      readonly kind: 'attempt';
      readonly reason: 'new-entry' | 'renewed' | 'always-allowed';
      readonly entry: Entry | undefined;
    }
  | {
      readonly kind: 'refusal';
      readonly reason: 'not-whitelisted' | 'not-yet-in-table';
      readonly entry: Entry | undefined;
    }
  | {
      readonly kind: 'admission';
      readonly reason: 'whitelisted' | 'always-allowed' | 'passed-by-pf';
      readonly entry: Entry | undefined;
    }
  | { readonly kind: 'unjudged'; readonly reason: UnjudgedReason };

const unjudged = new Map<UnjudgedReason, Decision>();

/** The decision that leads to nothing, always the same one for a reason. */
export function leave(reason: UnjudgedReason): Decision {
  let decision = unjudged.get(reason);
  if (decision === undefined) {
    decision = Object.freeze({ kind: 'unjudged', reason });
    unjudged.set(reason, decision);
  }
  return decision;
}
