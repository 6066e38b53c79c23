// Keeps the networks of the domains that the configuration allows as DNS names them.
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { HealthFinding } from '../control/protocol.js';
import { DomainNetworks, type KeptDomain, type KeptNetwork } from '../names/domain-networks.js';
import { type HostName, hostName } from '../names/name.js';
import {
  NETWORK_BOUNDS,
  NetworkBudget,
  type Own,
  ownNetworks,
  type RefusedNetwork,
  whyNever,
} from '../names/network-bounds.js';
import { spfNetworks, type SpfNetworks } from '../names/spf-networks.js';
import { timedLookup, WireClient } from '../names/wire.js';
import { formatPrefix, type Prefix, type PrefixText } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import type { DomainNetwork } from '../tracker/roles.js';
import { type DomainView, domainFindings, domainLines, type Said, UNSAID } from './domain-messages.js';
import type { Line } from './messages.js';

/** What domains need of the engine. */
export interface DomainsParts {
  /** the configuration as it is now */
  readonly config: () => Config;
  readonly clock: Clock;
  /** the networks are others now; or only what a restart must find again */
  readonly changed: (what: 'networks' | 'kept') => void;
  readonly say: (line: Line) => void;
  /** asks who has the last word on the table; absent: nobody but us. @returns those that it does not let in */
  readonly grant?: ((networks: readonly PrefixText[]) => Promise<readonly RefusedNetwork[]>) | undefined;
  /** the networks of this machine's interfaces */
  readonly interfaces: () => Own;
  /** looks a domain up; absent: in DNS, as the configuration says */
  readonly lookUp?: ((domain: HostName) => Promise<SpfNetworks>) | undefined;
}

interface One {
  readonly domain: HostName;
  readonly networks: DomainNetworks;
  /** those that are not let in */
  refused: readonly RefusedNetwork[];
  said: Said;
  isWaiting: boolean;
  cancel: (() => void) | undefined;
}

/** Domains that are looked up at a time. */
const AT_ONCE = 4;
/** When a network was named last is kept so exactly: each look-up changes it. */
const KEEP_AGAIN_MS = 6 * 3_600_000;
const TRIES = 2;

/**
 * The networks of the domains that the configuration allows. They are looked up again and again; what is let in of them is
 * bounded, by us and by whoever changes the table.
 */
export class Domains {
  private all: readonly One[] = [];
  private current: readonly DomainNetwork[] = [];
  private keptNow: readonly KeptDomain[] = [];
  private keptMs = 0;
  private readonly queue: One[] = [];
  private active = 0;
  private readonly clients = new Set<WireClient>();
  private settling: Promise<void> | undefined;
  private settlesAgain = false;
  private hasGrants = false;
  private isBegun = false;
  private closed = false;

  constructor(private readonly parts: DomainsParts) {}

  /** Those that are let in: the same array until they change. */
  get networks(): readonly DomainNetwork[] {
    return this.current;
  }

  /** What a restart must find again: the same array until that changes. */
  get kept(): readonly KeptDomain[] {
    return this.keptNow;
  }

  /** number of domains */
  get size(): number {
    return this.all.length;
  }

  /** When DNS has named a network last; monotonic milliseconds. */
  seenMs({ domain, network }: DomainNetwork): number | undefined {
    return this.all.find((one) => one.domain === domain)?.networks.seenMs(formatPrefix(network));
  }

  /** What an administrator should know. */
  findings(): HealthFinding[] {
    const nowMs = this.parts.clock.monotonicMs();
    return this.all.flatMap((one) => domainFindings(this.view(one), nowMs));
  }

  /** Takes over what an earlier run has kept; it is let in before DNS is asked. */
  async restore(kept: readonly KeptDomain[]): Promise<void> {
    this.configure(kept);
    await this.settle();
  }

  /** Begins to ask DNS. */
  begin(): void {
    this.isBegun = true;
    for (const one of this.all) this.enqueue(one);
  }

  /** The configuration is another one: all are looked up again. */
  reload(): void {
    this.configure([]);
    void this.settle();
    if (this.isBegun) this.begin();
  }

  close(): void {
    this.closed = true;
    for (const { cancel } of this.all) cancel?.();
    for (const client of this.clients) client.close();
  }

  private configure(kept: readonly KeptDomain[]): void {
    const before = new Map(this.all.map((one) => [String(one.domain), one]));
    this.all = this.parts.config().allowDomain.flatMap((name) => {
      const domain = hostName(name);
      if (domain === undefined) return [];
      const networks = kept.find((one) => one.domain === name)?.networks;
      const known = before.get(name);
      before.delete(name);
      return [known ?? newDomain(domain, networks)];
    });
    for (const { cancel } of before.values()) cancel?.();
    this.keep();
  }

  private keep(): void {
    this.keptMs = this.parts.clock.monotonicMs();
    this.keptNow = this.all.map(({ domain, networks }) => ({ domain, networks: networks.kept }));
  }

  private enqueue(one: One): void {
    one.cancel?.();
    one.cancel = undefined;
    if (one.isWaiting) return;
    one.isWaiting = true;
    this.queue.push(one);
    this.next();
  }

  private next(): void {
    if (this.closed || this.active >= AT_ONCE) return;
    const one = this.queue.shift();
    if (one === undefined) return;
    this.active++;
    void this.lookUp(one).finally(() => {
      this.active--;
      this.next();
    });
  }

  private async lookUp(one: One): Promise<void> {
    const { clock, changed } = this.parts;
    // a package that cannot be loaded (any more) must not end the daemon
    const result = await (this.parts.lookUp ?? this.askDns)(one.domain).catch(notAsked);
    one.isWaiting = false;
    if (this.closed || !this.all.includes(one)) return;
    const nowMs = clock.monotonicMs();
    const change = one.networks.take(result, nowMs);
    one.cancel = clock.after(one.networks.nextMs(result), () => this.enqueue(one));
    const isOther = change.added.length + change.gone.length > 0;
    if (isOther || nowMs - this.keptMs > KEEP_AGAIN_MS) {
      this.keep();
      changed('kept');
    }
    await this.settle();
    const { lines, said } = domainLines(this.view(one), change, one.said);
    one.said = said;
    for (const line of lines) this.parts.say(line);
  }

  private readonly askDns = async (domain: HostName): Promise<SpfNetworks> => {
    const { dnsServer, dnsTimeout } = this.parts.config();
    // a client for each: it finds the servers that the system has by now
    const client = new WireClient({ servers: dnsServer, timeoutMs: dnsTimeout * 1000, tries: TRIES });
    this.clients.add(client);
    try {
      return await spfNetworks((type, name) => timedLookup(client, type, name), domain);
    } finally {
      this.clients.delete(client);
      client.close();
    }
  };

  private view({ domain, networks, refused }: One): DomainView {
    const count = this.current.filter((one) => one.domain === domain).length;
    return { domain, state: networks.state, count, refused };
  }

  /** Lets in what may be; who asks while that is done waits until it has been done once more. */
  private settle(): Promise<void> {
    this.settlesAgain = true;
    this.settling ??= this.settleAll().finally(() => (this.settling = undefined));
    return this.settling;
  }

  private async settleAll(): Promise<void> {
    while (this.settlesAgain && !this.closed) {
      this.settlesAgain = false;
      await this.settleOnce();
    }
  }

  private async settleOnce(): Promise<void> {
    const wanted = this.withinBounds();
    const denied = new Map((await this.grant(wanted)).map(({ network, why }) => [network, why]));
    if (this.closed) return;
    const isDenied = ({ network }: DomainNetwork): boolean => denied.has(formatPrefix(network));
    for (const one of this.all) {
      const more = wanted.filter((network) => network.domain === one.domain && isDenied(network));
      const told = more.map(({ network }) => {
        const text = formatPrefix(network);
        return { network: text, why: denied.get(text) ?? '' };
      });
      one.refused = [...one.refused, ...told];
    }
    const allowed = wanted.filter((network) => !isDenied(network));
    const { current } = this;
    if (allowed.length === current.length && allowed.every((one, at) => one === current[at])) return;
    this.current = allowed;
    this.parts.changed('networks');
  }

  private async grant(wanted: readonly DomainNetwork[]): Promise<readonly RefusedNetwork[]> {
    const { grant } = this.parts;
    // who has no domain has nothing to ask
    if (grant === undefined || (wanted.length === 0 && !this.hasGrants)) return [];
    this.hasGrants = true;
    return grant(wanted.map(({ network }) => formatPrefix(network)));
  }

  /** What may be let in, in the order of the configuration; what may not is noted with its domain. */
  private withinBounds(): DomainNetwork[] {
    const known = new Map(this.current.map((one) => [keyOf(one.domain, one.network), one]));
    const own = ownNetworks(this.parts.config(), this.parts.interfaces());
    const budget = new NetworkBudget();
    return this.all.flatMap((one) => {
      const { domain } = one;
      const refused: RefusedNetwork[] = [];
      let count = 0;
      const allowed = one.networks.networks.flatMap((network) => {
        const text = formatPrefix(network);
        // another domain names it, too
        if (budget.has(text)) return [];
        const isFull = count >= NETWORK_BOUNDS.ofDomain;
        const full = isFull ? `the domain has ${NETWORK_BOUNDS.ofDomain} networks already` : undefined;
        const why = whyNever(network, own) ?? full ?? budget.take(network, text);
        if (why !== undefined) refused.push({ network: text, why });
        if (why !== undefined) return [];
        count++;
        return [known.get(keyOf(domain, network)) ?? { network, domain, admissions: 0 }];
      });
      one.refused = refused;
      return allowed;
    });
  }
}

function notAsked(error: unknown): SpfNetworks {
  return { kind: 'part', networks: [], passed: [], ttlMs: 0, unanswered: [escapeText(String(error))] };
}

function newDomain(domain: HostName, kept: readonly KeptNetwork[] | undefined): One {
  const networks = new DomainNetworks(kept);
  return { domain, networks, refused: [], said: UNSAID, isWaiting: false, cancel: undefined };
}

function keyOf(domain: string, network: Prefix): string {
  return `${domain} ${formatPrefix(network)}`;
}
