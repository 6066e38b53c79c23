// The engine as a process of its own.
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Log } from '../log/log.js';
import { logSettings } from '../log/settings.js';
import { openLog } from '../log/winston.js';
import { Channel } from '../monitor/channel.js';
import {
  CHANNEL_FD,
  type EngineEvent,
  type EngineRequest,
  type EngineStart,
  MOST_REPLY,
  type MonitorMessage,
  type Reconfiguration,
} from '../monitor/messages.js';
import { escapeText } from '../packet/escape.js';
import { RemoteTable } from '../monitor/remote-table.js';
import { NFT_TABLE } from '../table/nft-sets.js';
import { tableDescription } from '../table/pfctl.js';
import { version } from '../version.js';
import { endOnBug } from './bug.js';
import { systemClock } from '../clock.js';
import { Host } from './host.js';
import { interfaceNetworks } from './own-networks.js';
import { liveSource } from './live-source.js';
import { NftFirewall } from '../firewall/nft.js';
import { PfFirewall } from '../firewall/pf.js';
import type { TableParts } from '../firewall/table-firewall.js';
import { Exit, StartError } from '../sysexits.js';
import { WRITE_OUT_MS } from '../monitor/stop.js';
import { becomeQuick } from './v8.js';

/** Makes this process the engine; one that no monitor has started ends with a word. */
export function startEngine(): void {
  // who reads our output may go; the daemon goes on
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  if (!isSocket(CHANNEL_FD)) {
    process.stderr.write('mxallowd: this is the engine, which mxallowd starts by itself\n');
    process.exit(Exit.USAGE);
  }
  new EngineProcess();
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** Without the monitor nothing can be written any more. */
const ORPHAN_MS = 0;

/**
 * The engine as a process of its own: opens what needs root, becomes an ordinary user, judges, and has the monitor
 * change the table.
 */
class EngineProcess {
  private readonly channel: Channel;
  private table: RemoteTable | undefined;
  private nft: NftFirewall | undefined;
  private host: Host | undefined;
  private log: Log | undefined;
  private isReady = false;
  private isEnding = false;
  private unread: Reconfiguration | undefined;

  /** @throws Error when this process was not started by a monitor */
  constructor() {
    const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
    this.channel = new Channel(socket, MOST_REPLY, {
      message: (value) => this.take(value as MonitorMessage),
      garbage: (what) => void this.end(Exit.SOFTWARE, `the monitor has sent ${what}`),
      closed: () => {
        this.table?.lost();
        void this.end(Exit.UNAVAILABLE, 'the monitor has gone');
      },
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => void this.stop(signal));
    }
    process.on('SIGUSR1', () => this.host?.logStatistics());
  }

  private take(message: MonitorMessage): void {
    switch (message.kind) {
      case 'start':
        void this.start(message.start);
        return;
      case 'reload':
        if (this.isReady) this.host?.reconfigure(message.configuration);
        else this.unread = message.configuration;
        return;
      case 'stop':
        void this.stop(message.signal);
        return;
      case 'statistics':
        this.host?.logStatistics();
        return;
      case 'restored':
        if (this.isReady) this.nft?.restored(message.isEmpty);
        return;
      case 'lines':
      case 'reply':
      case 'counted':
      case 'granted':
      case 'limits':
      case 'texts':
      case 'reloaded':
        this.table?.handle(message);
    }
  }

  private async start(start: EngineStart): Promise<void> {
    const { config, remarks, plan, restarts, monitorPid } = start;
    becomeQuick();
    const log = openLog(logSettings(config));
    this.log = log;
    endOnBug(log);
    const isNft = config.firewall === 'nft';
    const description = isNft ? NFT_TABLE : tableDescription(config);
    const table = new RemoteTable(description, (message) => this.send(message));
    this.table = table;
    const host = new Host({
      config,
      remarks,
      path: undefined,
      log,
      clock: systemClock,
      makeFirewall: (core) => {
        const parts: TableParts = {
          table,
          makeSource: liveSource,
          isContinued: restarts > 0,
          captureLost: (why) => void this.end(Exit.TEMPFAIL, `capture lost: ${escapeText(why)}`),
        };
        if (!isNft) return new PfFirewall(core, parts);
        this.nft = new NftFirewall(core, parts);
        return this.nft;
      },
      plan,
      domains: { interfaces: interfaceNetworks, grant: (networks) => table.grant(networks) },
      readAgain: () => readAgain(table),
      version: version(),
      monitorPid,
      restarts,
    });
    this.host = host;
    try {
      await host.start();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      await this.fail(error);
      return;
    }
    if (this.isEnding) return;
    this.isReady = true;
    this.send({ event: 'ready' });
    if (this.unread !== undefined) host.reconfigure(this.unread);
    this.unread = undefined;
  }

  /** What is said of it is said by the monitor. */
  private async fail({ message, exitStatus }: StartError): Promise<void> {
    if (this.isEnding) return;
    this.isEnding = true;
    this.send({ event: 'failed', message, exitStatus });
    await this.log?.close();
    await this.channel.close();
    process.exit(exitStatus);
  }

  private async stop(signal: string): Promise<void> {
    if (this.isEnding) return;
    this.isEnding = true;
    if (this.isReady) {
      const message = `${signal}: writing out what is pending, then ending`;
      this.log?.write('info', message, { event: 'stopping' });
      await this.host?.stop(WRITE_OUT_MS);
    } else await this.host?.abandon();
    await this.log?.close();
    process.exit(this.isReady ? Exit.OK : Exit.UNAVAILABLE);
  }

  /** Something is wrong with what surrounds us; the state file has what the next engine needs. */
  private async end(exitStatus: number, why: string): Promise<void> {
    if (this.isEnding) return;
    this.isEnding = true;
    this.log?.write('error', why, { event: 'engine-ends' });
    if (!this.isReady) this.send({ event: 'failed', message: why, exitStatus });
    if (this.isReady) await this.host?.stop(ORPHAN_MS);
    else await this.host?.abandon();
    await this.log?.close();
    process.exit(exitStatus);
  }

  private send(message: EngineRequest | EngineEvent): void {
    this.channel.send(message);
  }
}

/** The monitor reads the file once a second at the most. */
const READ_AGAIN_MS = 1100;

/** Has the monitor read the configuration; who is too quick waits. */
async function readAgain(table: RemoteTable): Promise<Reconfiguration> {
  const first = await table.reload();
  if (first?.ok !== false || first.isTooOften !== true) return first ?? { ok: false, problems: [] };
  await new Promise<void>((resolve) => systemClock.after(READ_AGAIN_MS, resolve));
  return (await table.reload()) ?? { ok: false, problems: [] };
}
