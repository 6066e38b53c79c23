// The whole daemon in one process.
import type { Config } from '../config/config.js';
import type { Problem } from '../config/problem.js';
import type { Log } from '../log/log.js';
import type { Reconfiguration } from '../monitor/messages.js';
import type { Rules } from '../monitor/monitor.js';
import type { Table } from '../table/table.js';
import { version } from '../version.js';
import { systemClock } from '../clock.js';
import type { Core, Firewall } from '../engine/firewall.js';
import { Host } from './host.js';
import { interfaceNetworks } from './own-networks.js';
import { liveSource } from './live-source.js';
import { NftFirewall } from '../firewall/nft.js';
import { PfFirewall } from '../firewall/pf.js';
import { QueueFirewall } from '../firewall/queue.js';
import { WRITE_OUT_MS } from '../monitor/stop.js';
import type { UserPlan } from '../monitor/user-plan.js';
import { becomeQuick } from './v8.js';

/** What a single process works with. */
export interface SingleParts {
  readonly config: Config;
  readonly remarks: readonly Problem[];
  readonly path: string | undefined;
  readonly plan: UserPlan;
  readonly log: Log;
  readonly table: Table;
  /** makes what keeps the firewall's rules; absent: somebody else does */
  readonly makeRules?: (restored: (isEmpty: boolean) => void) => Rules;
  readonly readAgain: () => Reconfiguration;
}

/** The whole daemon in one process: with NFQUEUE, and where there is no root to be given up. */
export class SingleProcess {
  private readonly host: Host;
  private isReady = false;
  private readonly rules: Rules | undefined;
  private nft: NftFirewall | undefined;

  constructor(private readonly parts: SingleParts) {
    becomeQuick();
    this.rules = parts.makeRules?.((isEmpty) => {
      if (this.isReady) this.nft?.restored(isEmpty);
    });
    this.host = new Host({
      ...parts,
      clock: systemClock,
      domains: { interfaces: interfaceNetworks },
      makeFirewall: (core) => this.makeFirewall(core),
      readAgain: () => Promise.resolve(this.readAgain()),
      version: version(),
      monitorPid: undefined,
      restarts: 0,
    });
  }

  /** @throws StartError when it cannot start */
  async start(): Promise<void> {
    await this.rules?.start();
    try {
      await this.host.start();
    } catch (error) {
      this.rules?.stop();
      throw error;
    }
    this.isReady = true;
  }

  goesOn(): boolean {
    return this.host.engine.goesOn();
  }

  reload(): void {
    void this.host.reload();
  }

  logStatistics(): void {
    this.host.logStatistics();
  }

  async stop(signal: string): Promise<void> {
    const message = `${signal}: writing out what is pending, then ending`;
    this.parts.log.write('info', message, { event: 'stopping' });
    if (this.isReady) await this.host.stop(WRITE_OUT_MS);
    else await this.host.abandon();
    this.rules?.stop();
  }

  private makeFirewall(core: Core): Firewall {
    const { config, table } = this.parts;
    if (config.queueNum !== undefined) return new QueueFirewall(core, config.queueNum);
    const parts = { table, makeSource: liveSource };
    if (config.firewall === 'pf') return new PfFirewall(core, parts);
    this.nft = new NftFirewall(core, parts);
    return this.nft;
  }

  private readAgain(): Reconfiguration {
    const configuration = this.parts.readAgain();
    if (configuration.ok) this.rules?.configure(configuration.config);
    return configuration;
  }
}
