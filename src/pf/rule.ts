// A rule of pf, as it was read.
import type { Address, Family, Prefix } from '../packet/address.js';

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

/** Where a rule sends packets on to, instead of where they were sent. */
export interface Redirect {
  /** undefined: one that cannot be known from here, as one of a table's */
  readonly address: Address | undefined;
  /** undefined: the port stays */
  readonly port: number | undefined;
  /** as pfctl printed it: `127.0.0.1 port 2525`; not escaped */
  readonly text: string;
  /** whether later rules see the new address; not with `divert-to`, which changes nothing in the packet */
  readonly rewrites: boolean;
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
  /** `rdr-to`, `af-to`, `divert-to` */
  readonly redirect: Redirect | undefined;
  /** changes addresses in another way (`nat-to`, `binat-to`) */
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

/** FreeBSD's `rdr` and `no rdr`, which come before all filter rules; the first that matches decides. */
export interface RedirectRule extends RuleBase {
  readonly kind: 'rdr';
  readonly criteria: Criteria;
  readonly log: RuleLog | undefined;
  /** undefined: `no rdr` */
  readonly redirect: Redirect | undefined;
  /** `rdr pass`: no filter rule is looked at */
  readonly passes: boolean;
}

/** A line that we cannot read. */
export interface UnknownRule extends RuleBase {
  readonly kind: 'unknown';
}

/** A rule as `pfctl -s rules` prints it. */
export type PfRule = FilterRule | AnchorRule | ScrubRule | UnknownRule;

/** A rule as FreeBSD's `pfctl -s nat` prints it, as far as it concerns what comes in. */
export type TranslationRule = RedirectRule | UnknownRule;
