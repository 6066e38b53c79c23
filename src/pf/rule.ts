// A rule of pf, as it was read.
import type { Family, Prefix } from '../packet/address.js';

/** Where an address in a rule points. */
export type RuleAddress =
  | { readonly kind: 'any' }
  /** `<name>` */
  | { readonly kind: 'table'; readonly name: string }
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  /** `192.0.2.1 - 192.0.2.9` */
  | { readonly kind: 'range'; readonly first: Prefix; readonly last: Prefix }
  /** `(em0)`, `(egress:network)`: whatever addresses an interface has at the time */
  | { readonly kind: 'interface'; readonly text: string }
  /** `no-route`, `urpf-failed`: no address of the Internet that has a way back */
  | { readonly kind: 'nobody' }
  /** something that we cannot read */
  | { readonly kind: 'unknown'; readonly text: string };

/** A condition on a port, as `= smtp`, `1024:65535`, `20 >< 30`. */
export interface PortCondition {
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>=' | ':' | '><' | '<>';
  /** numbers, or service names after `=` and `!=` */
  readonly values: readonly string[];
}

/** One end of a connection. */
export interface Endpoint {
  readonly negated: boolean;
  readonly address: RuleAddress;
  readonly port: PortCondition | undefined;
}

/** What a packet must be for a rule to match. */
export interface Criteria {
  readonly direction: 'in' | 'out' | undefined;
  readonly on: { readonly name: string; readonly negated: boolean } | undefined;
  readonly family: Family | undefined;
  /** name or number of the protocol */
  readonly proto: string | undefined;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** TCP flags that must be set, out of those that are looked at, as `S/SA`; undefined: any */
  readonly flags: { readonly set: string; readonly of: string } | undefined;
  /** matches fragments only */
  readonly fragment: boolean;
  /** matches ICMP only */
  readonly icmp: boolean;
  /** conditions that cannot be judged from here, as `tagged SPAM` or `user = 1000` */
  readonly doubts: readonly string[];
}

/** What a rule logs. */
export interface RuleLog {
  readonly to: string;
  /** `log (matches)`: the rules that match later are logged, too */
  readonly matches: boolean;
}

interface RuleBase {
  /** as pfctl printed it, without number and indentation; not escaped */
  readonly text: string;
}

/** `pass`, `block` or `match`. */
export interface FilterRule extends RuleBase {
  readonly kind: 'pass' | 'block' | 'match';
  readonly criteria: Criteria;
  readonly quick: boolean;
  readonly log: RuleLog | undefined;
  /** `block return`: refuses, instead of dropping */
  readonly returns: boolean;
  /** changes the addresses that later rules see (`match ... rdr-to`) */
  readonly translates: boolean;
}

/** `anchor`; its rules, if pfctl printed them. */
export interface AnchorRule extends RuleBase {
  readonly kind: 'anchor';
  /** empty for one without a name */
  readonly name: string;
  readonly criteria: Criteria;
  readonly quick: boolean;
  /** undefined: pfctl did not show them */
  readonly rules: readonly PfRule[] | undefined;
}

/** FreeBSD's `scrub` and `no scrub`; the first that matches decides. */
export interface ScrubRule extends RuleBase {
  readonly kind: 'scrub';
  readonly criteria: Criteria;
  /** puts fragments together before the rules see them */
  readonly reassembles: boolean;
}

/** A line that we cannot read. */
export interface UnknownRule extends RuleBase {
  readonly kind: 'unknown';
}

/** A rule as `pfctl -s rules` prints it. */
export type PfRule = FilterRule | AnchorRule | ScrubRule | UnknownRule;
