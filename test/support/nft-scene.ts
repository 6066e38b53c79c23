/** A stage whose kernel has our rules, as "nft-conf --install" puts them, and mxallowd behind them. */
import { chmodSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Stage, StagedDaemon } from '../../src/demo/stage.js';
import type { Finished, World } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { CLI, type Scratch } from './cli.js';
import { openStage } from './stage.js';

const CONFIG = join(packageFolder(), 'examples', 'mxallowd.conf');

/** The scene. */
export class NftScene {
  private constructor(
    readonly stage: Stage,
    /** the file for the boot */
    readonly rules: string,
    readonly socket: string,
    readonly state: string,
    private readonly boot: string,
  ) {}

  /** With the rules installed. @param options - of mxallowd, for the rules and the daemon */
  static async open(scratch: Scratch, options: readonly string[] = []): Promise<NftScene> {
    const stage = await openStage();
    const name = `${process.pid}-${count++}`;
    const rules = scratch.path(`rules-${name}`);
    const socket = scratch.path(`socket-${name}`);
    // the user that the engine becomes must get there
    chmodSync(dirname(rules), 0o755);
    const state = join(scratch.path(`state-${name}`), 'state');
    const scene = new NftScene(
      stage,
      rules,
      socket,
      state,
      scratch.file(`boot-${name}`, '#!/usr/sbin/nft -f\n'),
    );
    try {
      await scene.install(...options);
    } catch (error) {
      await stage.close();
      throw error;
    }
    return scene;
  }

  /** Runs nft-conf. */
  nftConf(...args: string[]): Promise<Finished> {
    return nftConf(this.stage.world, this.rules, this.boot, args);
  }

  /** Installs the rules. */
  async install(...options: string[]): Promise<void> {
    const { status, stderr } = await this.nftConf('--install', '--yes', ...options);
    if (status !== 0) throw new Error(stderr);
  }

  /** Starts the daemon, and waits until it is ready. @param options - of mxallowd */
  async daemon(...options: string[]): Promise<StagedDaemon> {
    const where = ['--nft-rules', this.rules, '--control-socket', this.socket, '--state-file', this.state];
    const daemon = this.stage.startDaemon([
      '--firewall',
      'nft',
      '--log-level',
      'debug',
      ...where,
      ...options,
    ]);
    await daemon.ready();
    return daemon;
  }

  /** Asks the daemon, as root. */
  ask(...words: string[]): Promise<Finished> {
    return this.stage.world.run('mx', [process.execPath, CLI, ...words, '--control-socket', this.socket]);
  }

  /** Runs nft on the host mx. */
  nft(text: string): Promise<string> {
    return this.stage.world.script(`nft '${text}'`, 'mx');
  }

  /** What is in one of our sets: addresses, and the seconds that they still have. */
  async set(name: string): Promise<Map<string, number>> {
    const text = await this.stage.world.script(`nft -j list set inet mx_white ${name}`, 'mx').catch(() => '');
    return new Map(
      [
        ...text.matchAll(
          /"val": (?:"([^"]+)"|\{"prefix": \{"addr": "([^"]+)"[^}]*\}\})[^}]*?"expires": (\d+)/g,
        ),
      ].map(([, address, network, seconds]) => [address ?? network ?? '', Number(seconds)]),
    );
  }

  close(): Promise<void> {
    return this.stage.close();
  }
}

let count = 0;

/**
 * Runs nft-conf on the host mx.
 * @param rules - the file for the boot
 * @param boot - what nft loads at the boot
 */
export function nftConf(
  world: World,
  rules: string,
  boot: string,
  args: readonly string[],
): Promise<Finished> {
  const where = ['-c', CONFIG, '--nft-rules', rules, '--nft-conf', boot];
  return world.run('mx', [process.execPath, CLI, 'nft-conf', ...where, ...args]);
}
