// The whole daemon in one process.
import type { Config } from '../config/config.js';
import type { Problem } from '../config/problem.js';
import type { Log } from '../log/log.js';
import type { Reconfiguration } from '../monitor/messages.js';
import type { Table } from '../table/table.js';
import { version } from '../version.js';
import { systemClock } from '../clock.js';
import type { Core, Firewall } from '../engine/firewall.js';
import { Host } from './host.js';
import { interfaceNetworks } from './own-networks.js';
import { liveSource } from './live-source.js';
import { PfFirewall } from '../firewall/pf.js';
import { QueueFirewall } from '../firewall/queue.js';
import { WRITE_OUT_MS } from '../monitor/stop.js';
import type { UserPlan } from '../monitor/user-plan.js';
import { reachManager, ServiceManager, takeWishes } from './service-manager.js';
import { becomeQuick } from './v8.js';

/** What a single process works with. */
export interface SingleParts {
  readonly config: Config;
  readonly remarks: readonly Problem[];
  readonly path: string | undefined;
  readonly plan: UserPlan;
  readonly log: Log;
  readonly table: Table;
  readonly readAgain: () => Reconfiguration;
}

/** The whole daemon in one process: with NFQUEUE, and where there is no root to be given up. */
export class SingleProcess {
  private readonly host: Host;
  private isReady = false;
  private manager: ServiceManager | undefined;

  constructor(private readonly parts: SingleParts) {
    becomeQuick();
    this.host = new Host({
      ...parts,
      clock: systemClock,
      domains: { interfaces: interfaceNetworks },
      makeFirewall: (core) => makeFirewall(core, parts),
      readAgain: () => Promise.resolve(parts.readAgain()),
      version: version(),
      monitorPid: undefined,
      restarts: 0,
    });
  }

  /** @throws StartError when it cannot start */
  async start(): Promise<void> {
    const wishes = takeWishes(process.env, process.pid);
    await this.host.start();
    this.isReady = true;
    if (wishes === undefined) return;
    const { log } = this.parts;
    const notify = await reachManager(wishes, (why) =>
      log.write('error', `the service manager cannot be told: ${why}`, { event: 'notify-failed' }),
    );
    this.manager = new ServiceManager(wishes, notify, systemClock, log);
    this.manager.ready(() => this.host.engine.goesOn());
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
    this.manager?.stopping();
    if (this.isReady) await this.host.stop(WRITE_OUT_MS);
    else await this.host.abandon();
  }
}

function makeFirewall(core: Core, { config, table }: SingleParts): Firewall {
  if (config.queueNum !== undefined) return new QueueFirewall(core, config.queueNum);
  return new PfFirewall(core, { table, makeSource: liveSource });
}
