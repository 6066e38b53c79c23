/** Signed zones, and a resolver that checks signatures: ldnsutils, nsd and unbound. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './daemon.js';
import { dnsUnavailable, freePort, type Zones, zoneText } from './dns.js';

/** @returns why there can be no {@link ValidatingResolver} here, if so */
export function dnssecUnavailable(): string | undefined {
  for (const [program, name] of [
    ['unbound', 'unbound'],
    ['ldns-signzone', 'ldnsutils'],
  ]) {
    const { status } = spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin; command -v ${program}`]);
    if (status !== 0) return `${program} not found (package ${name})`;
  }
  return dnsUnavailable();
}

/** A zone with signatures. */
export interface SignedZone {
  /** the whole file */
  readonly text: string;
  /** its DS record, to be put into the parent zone or trusted */
  readonly ds: string;
}

/** Signs a zone with a new key. */
export function signZone(zone: string, records: string): SignedZone {
  const folder = mkdtempSync(join(tmpdir(), 'mxallowd-sign-'));
  try {
    const run = (program: string, ...args: string[]): string =>
      execFileSync(program, args, { cwd: folder, encoding: 'utf8' }).trim();
    const key = run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone);
    writeFileSync(join(folder, 'zone'), zoneText(zone, records));
    run('ldns-signzone', '-f', 'signed', 'zone', key);
    const text = readFileSync(join(folder, 'signed'), 'utf8');
    return { text, ds: readFileSync(join(folder, `${key}.ds`), 'utf8').trim() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Writes what unbound needs into a folder.
 * @param listen - as `127.0.0.1@5353`
 * @param server - of the zones, as `127.0.0.1@5354`
 * @param anchors - the DS records that it trusts
 * @returns path of its configuration
 */
export function writeResolver(
  folder: string,
  listen: string,
  server: string,
  zones: Zones,
  anchors: readonly string[],
): string {
  const [address, port] = listen.split('@');
  const lines = [
    'server:',
    `interface: ${address}`,
    `port: ${port}`,
    'username: ""',
    'chroot: ""',
    `directory: "${folder}"`,
    `pidfile: "${join(folder, 'unbound.pid')}"`,
    'use-syslog: no',
    'do-daemonize: no',
    'num-threads: 1',
    'do-ip6: no',
    'do-not-query-localhost: no',
    'module-config: "validator iterator"',
    ...anchors.map((anchor) => `trust-anchor: "${anchor.replace(/\s+/g, ' ')}"`),
    // by itself it says that nothing is there
    'local-zone: "test." nodefault',
    'remote-control:',
    'control-enable: no',
    ...Object.keys(zones).flatMap((zone) => ['stub-zone:', `name: "${zone}"`, `stub-addr: ${server}`]),
  ];
  const config = join(folder, 'unbound.conf');
  writeFileSync(config, `${lines.join('\n')}\n`);
  return config;
}

/** An unbound on 127.0.0.1 that checks signatures. */
export class ValidatingResolver {
  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
    /** as `127.0.0.1:PORT` */
    readonly address: string,
  ) {}

  /**
   * Returns when it answers.
   * @param server - a name server for the zones, as `127.0.0.1:PORT`
   * @param anchor - the DS record that it trusts
   * @param known - a name with an A record in one of the zones
   */
  static async start(
    server: string,
    zones: Zones,
    anchor: string,
    known: string,
  ): Promise<ValidatingResolver> {
    const folder = mkdtempSync(join(tmpdir(), 'mxallowd-unbound-'));
    const port = await freePort();
    const config = writeResolver(folder, `127.0.0.1@${port}`, server.replace(':', '@'), zones, [anchor]);
    const child = spawn('unbound', ['-d', '-c', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    child.on('error', (error) => (log += String(error)));
    const unbound = new ValidatingResolver(folder, child, `127.0.0.1:${port}`);
    const resolver = new Resolver({ timeout: 5000, tries: 1 });
    resolver.setServers([unbound.address]);
    try {
      await until('unbound answers', async () => {
        if (child.exitCode !== null) throw new Error(`unbound has ended: ${log}`);
        return resolver.resolve4(known).then(
          () => true,
          () => false,
        );
      });
    } catch (error) {
      await unbound.dispose();
      throw error;
    }
    return unbound;
  }

  async dispose(): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await closed;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
