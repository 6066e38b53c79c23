// What becomes of an observation.
import type { Observation } from '../packet/observation.js';
import { isNflogAction } from '../packet/nflog.js';
import { Action, PfReason } from '../packet/pflog.js';
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
      readonly reason: 'new-entry' | 'promoted' | 'renewed' | 'always-allowed' | 'no-sender';
      readonly entry: Entry | undefined;
    }
  | {
      readonly kind: 'refusal';
      readonly reason: 'not-whitelisted' | 'not-yet-in-table';
      readonly entry: Entry | undefined;
      /** led elsewhere, not dropped: a refusal all the same */
      readonly redirected: boolean;
    }
  | {
      readonly kind: 'admission';
      readonly reason: 'whitelisted' | 'always-allowed' | 'passed-by-pf';
      readonly entry: Entry | undefined;
    }
  /** this network has opened a connection to somebody's mail server; the entry is for that one */
  | {
      readonly kind: 'outbound';
      readonly reason: 'new-entry' | 'renewed' | 'always-allowed' | 'no-room';
      readonly entry: Entry | undefined;
    }
  | { readonly kind: 'unjudged'; readonly reason: UnjudgedReason };

/** A decision in a word, for logs, lists and programs: its kind, but whom pf or a mark leads elsewhere is `redirected`. */
export function eventOf<K extends Decision['kind']>(decision: {
  readonly kind: K;
  readonly redirected?: boolean;
}): K | 'redirected' {
  return decision.redirected === true ? 'redirected' : decision.kind;
}

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

/**
 * Why pf dropped a packet to the real MX whatever its rules said, or will drop it although they said pass: no rule has
 * refused it, and it has not been admitted.
 * @param passed - what the rule said
 */
export function droppedBesideRules(observation: Observation, passed: boolean): UnjudgedReason | undefined {
  const { action, pfReason, hasIpOptions } = observation;
  if (pfReason === PfReason.IP_OPTION) return 'ip-options';
  if (pfReason !== PfReason.MATCH) return passed ? 'dropped-after-pass' : 'not-a-verdict';
  return passed && hasIpOptions && action !== Action.NONE && !isNflogAction(action)
    ? 'ip-options'
    : undefined;
}
