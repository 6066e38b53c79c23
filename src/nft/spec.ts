// What our rules for nftables need to know. Pure.
import type { Config } from '../config/config.js';
import type { Strangers } from '../config/values.js';
import type { Address, Prefix } from '../packet/address.js';
import type { EntryLengths } from '../table/nft-sets.js';

/** `live`: strangers get what the configuration says; `learn`: they pass, and are told. */
export type NftMode = 'live' | 'learn';

/** What the rules need to know. */
export interface NftSpec {
  readonly mode: NftMode;
  readonly fake: readonly Address[];
  readonly real: readonly Address[];
  readonly allow: readonly Prefix[];
  readonly port: number;
  /** whether connections of ours to mail servers are told */
  readonly outbound: boolean;
  readonly strangers: Strangers;
  /** seconds */
  readonly whitelistTime: number;
  readonly maxEntries: number;
  readonly lengths: EntryLengths;
  readonly hook: Config['nftHook'];
  readonly priority: number;
  /** of NFLOG */
  readonly group: number;
}

/** What a configuration needs the kernel to do. */
export function nftSpec(config: Config, mode: NftMode): NftSpec {
  return {
    mode,
    fake: config.fakeMailserver,
    real: config.realMailserver,
    allow: config.allow,
    port: config.port,
    outbound: config.outbound,
    strangers: config.strangers,
    whitelistTime: config.whitelistTime,
    maxEntries: config.maxEntries,
    lengths: { 4: config.ipv4Prefix, 6: config.ipv6Prefix },
    hook: config.nftHook,
    priority: config.nftPriority,
    group: config.nflogGroup,
  };
}
