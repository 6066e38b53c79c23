// Networks that the engine says DNS names: whether they may be in the table. The engine is not believed.
import type { Config } from '../config/config.js';
import {
  NETWORK_BOUNDS,
  NetworkBudget,
  type Own,
  ownNetworks,
  type RefusedNetwork,
  whyNever,
} from '../names/network-bounds.js';
import { parseCanonical, type Prefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';

/**
 * The networks that the engine may add though they are wider than a sender's. Who they belong to cannot be known here,
 * so it is bounded what they are: by what lies in the table, or may, not by what the engine says now.
 */
export class Grants {
  private granted: ReadonlySet<PrefixText> = new Set();
  /** those that have been added, and not been taken out since */
  private readonly held = new Map<PrefixText, Prefix>();
  private config: Config | undefined;

  /** @param interfaces - the networks of this machine's interfaces */
  constructor(private readonly interfaces: () => Own) {}

  /** networks that may be in the table */
  get size(): number {
    return new Set([...this.granted, ...this.held.keys()]).size;
  }

  /** Takes over the configuration; what that forbids is not granted any more. */
  configure(config: Config): void {
    this.config = config;
    this.request([...this.granted]);
  }

  /** Grants these, and no others any more. @returns those that are not granted */
  request(networks: readonly PrefixText[]): RefusedNetwork[] {
    const refused: RefusedNetwork[] = [];
    const granted = new Set<PrefixText>();
    const { config } = this;
    const budget = new NetworkBudget(NETWORK_BOUNDS.ofDomain * (config?.allowDomain.length ?? 0));
    const own = config === undefined ? [] : ownNetworks(config, this.interfaces());
    for (const [text, network] of this.held) budget.take(network, text);
    for (const text of networks) {
      const network = parseCanonical(text);
      const why =
        network === undefined ? 'it is no network' : (whyNever(network, own) ?? budget.take(network, text));
      if (why === undefined) granted.add(text);
      else refused.push({ network: escapeText(text, 60) as PrefixText, why });
    }
    this.granted = granted;
    return refused;
  }

  /** Whether it may be added. */
  allows(network: PrefixText): boolean {
    return this.granted.has(network);
  }

  /** Whether it may be in the table by a grant. */
  holds(network: PrefixText): boolean {
    return this.granted.has(network) || this.held.has(network);
  }

  /** These have been added, or may have been. */
  added(networks: readonly PrefixText[]): void {
    for (const text of networks) {
      const network = this.granted.has(text) ? parseCanonical(text) : undefined;
      if (network !== undefined) this.held.set(text, network);
    }
  }

  /** These have been taken out. */
  deleted(networks: readonly PrefixText[]): void {
    for (const text of networks) this.held.delete(text);
  }

  /** The table is empty. */
  lost(): void {
    this.held.clear();
  }
}
