/** Somebody who takes datagrams at a Unix socket, as systemd does. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageFolder } from '../../src/version.js';
import { until } from './daemon.js';

/** A datagram. */
export interface Datagram {
  /** who has sent it, as the kernel says */
  readonly pid: number;
  readonly text: string;
}

/** @returns why there can be no {@link Datagrams} here, if so */
export function datagramsUnavailable(): string | undefined {
  if (process.platform !== 'linux') return "systemd is Linux's";
  return spawnSync('python3', ['--version']).status === 0 ? undefined : 'python3 not found (package python3)';
}

/** A socket with what came to it. */
export class Datagrams {
  readonly received: Datagram[] = [];
  private isReady = false;

  private constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('its output is not ours');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as Datagram & { ready?: boolean };
      if (said.ready === true) this.isReady = true;
      else this.received.push(said);
    });
  }

  /**
   * Returns when the socket is there.
   * @param name - a path, or `@` and a name
   * @param start - starts the program elsewhere than here
   */
  static async open(
    name: string,
    start = (argv: readonly [string, ...string[]]): ChildProcess =>
      spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] }),
  ): Promise<Datagrams> {
    const program = join(packageFolder(), 'test', 'support', 'datagrams.py');
    const datagrams = new Datagrams(start(['python3', program, name]));
    await until('the socket is there', () => datagrams.isReady);
    return datagrams;
  }

  get texts(): string[] {
    return this.received.map(({ text }) => text);
  }

  close(): void {
    this.child.kill('SIGKILL');
  }
}
