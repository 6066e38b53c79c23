/** Machines on the Internet of a World, each with addresses, packages and files of its own. */
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Finished, World } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';

/** Where scripts/unpack.mjs puts packages. */
const PACKAGES = join(packageFolder(), '.packages');

/** @returns why there is no such package for a {@link Machine}, if so */
export function packageUnavailable(name: string): string | undefined {
  return existsSync(join(PACKAGES, `${name}.versions`))
    ? undefined
    : `the Debian package ${name} is not unpacked (npm test does that, as root)`;
}

/** What a {@link Machine} is made of. */
export interface MachineSettings {
  /** of its network namespace, and in the names of its files; at most 15 letters and figures */
  readonly name: string;
  /** its full name, as it calls itself */
  readonly hostName: string;
  /** its own, of both families, out of WORLD.senders; with those of one family it knows no other */
  readonly addresses: readonly string[];
  /** an unpacked package, see scripts/unpack.mjs */
  readonly unpacked?: string;
  /** users that the package's installation would have made */
  readonly users?: readonly string[];
  /** those of a family that it knows are asked */
  readonly nameServers: readonly string[];
  /** a new folder that is the same inside and outside */
  readonly folder: string;
}

/**
 * A machine: this one's files with the unpacked ones above them, and whatever is written gone at the end. It needs root,
 * and ends with its {@link World}.
 */
export class Machine {
  private constructor(
    private readonly world: World,
    readonly settings: MachineSettings,
  ) {}

  static async create(world: World, settings: MachineSettings): Promise<Machine> {
    const machine = new Machine(world, settings);
    mkdirSync(settings.folder, { recursive: true });
    await world.script(machine.network());
    await world.script(machine.files());
    return machine;
  }

  get folder(): string {
    return this.settings.folder;
  }

  /** Runs a shell script (sh -eu) on it. */
  async script(text: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(['sh', '-euc', text]);
    if (status !== 0) {
      throw new Error(
        `a script on ${this.settings.name} failed (${status}): ${stderr.trim() || stdout.trim()}`,
      );
    }
    return stdout;
  }

  /** Runs a program to its end. */
  run(argv: readonly string[]): Promise<Finished> {
    return this.world.run(undefined, [...this.enter(), ...argv]);
  }

  /** Starts a program; signals must go through {@link World.signal}. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.world.spawn(undefined, [...this.enter(), ...argv], options);
  }

  private get root(): string {
    return `/run/machines/${this.settings.name}/root`;
  }

  private enter(): string[] {
    return ['nsenter', `--net=/run/netns/${this.settings.name}`, 'chroot', this.root];
  }

  private network(): string {
    const { name, addresses } = this.settings;
    const ipv4 = addresses.filter((address) => familyOf(address) === 4);
    const ipv6 = addresses.filter((address) => familyOf(address) === 6);
    // "internet" is a router for it, and more exact routes go before its own, wide ones
    return `
      ip netns add ${name}
      ip -n internet link add ${name} type veth peer name eth0 netns ${name}
      nsenter --net=/run/netns/${name} sh -c '
        echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
        echo ${ipv6.length === 0 ? 1 : 0} >/proc/sys/net/ipv6/conf/eth0/disable_ipv6'
      nsenter --net=/run/netns/internet sh -c '
        echo 0 >/proc/sys/net/ipv6/conf/${name}/accept_dad
        echo 1 >/proc/sys/net/ipv4/ip_forward
        echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
      ip -n ${name} link set lo up
      ip -n ${name} link set eth0 up
      ip -n internet link set ${name} up
      ip -n internet address replace ${GATEWAY}/32 dev lo
      ip -n internet address add ${GATEWAY6}/64 dev ${name} nodad
      ${ipv4.map((address) => `ip -n ${name} address add ${address}/32 dev eth0`).join('\n')}
      ${ipv6.map((address) => `ip -n ${name} address add ${address}/128 dev eth0 nodad`).join('\n')}
      ${addresses.map((address) => `ip -n internet route add ${address} dev ${name} table local`).join('\n')}
      ${ipv4.length === 0 ? '' : `ip -n ${name} route add ${GATEWAY} dev eth0; ip -n ${name} route add default via ${GATEWAY}`}
      ${ipv6.length === 0 ? '' : `ip -n ${name} -6 route add default via ${GATEWAY6} dev eth0`}`;
  }

  private files(): string {
    const { name, hostName, unpacked, users = [], nameServers, folder, addresses } = this.settings;
    const place = `/run/machines/${name}`;
    // an overlay does not take a folder of / as a layer beside /
    const copy = unpacked === undefined ? '' : `cp -a '${join(PACKAGES, unpacked)}/.' ${place}/upper/`;
    const reachable = nameServers.filter((server) =>
      addresses.some((own) => familyOf(own) === familyOf(server)),
    );
    const entries = users.map(
      (user, i) => [`${user}:x:${FIRST_ID + i}:`, `${FIRST_ID + i}::/:/bin/sh`] as const,
    );
    return `
      mkdir -p ${place}/upper ${place}/work ${this.root}
      ${copy}
      mount -t overlay overlay -o lowerdir=/,upperdir=${place}/upper,workdir=${place}/work ${this.root}
      cd ${this.root}
      mount --rbind /proc proc
      for folder in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs $folder; done
      chmod 1777 tmp
      for device in null zero full random urandom tty; do
        touch dev/$device
        mount --bind /dev/$device dev/$device
      done
      ln -s /proc/self/fd dev/fd
      mkdir -p '.${folder}'
      mount --bind '${folder}' '.${folder}'
      rm -f etc/resolv.conf
      echo 'options timeout:20 attempts:3' >etc/resolv.conf
      ${reachable.map((server) => `echo 'nameserver ${server}' >>etc/resolv.conf`).join('\n')}
      echo ${hostName} >etc/mailname
      echo '127.0.0.1 localhost' >etc/hosts
      ${addresses.map((address) => `echo "${address} ${hostName} $(uname -n)" >>etc/hosts`).join('\n')}
      ${entries.map(([head, tail]) => `echo '${head}${tail}' >>etc/passwd; echo '${head}' >>etc/group`).join('\n')}`;
  }
}

/** Addresses of `internet` that are the next hop of each machine. */
const GATEWAY = '169.254.0.1';
const GATEWAY6 = 'fe80::1';
const FIRST_ID = 64_000;

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
