// The machine as probes see it: its interfaces and programs.
import { readFileSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { type Address, type Family, parseAddress } from '../packet/address.js';
import { type InterfaceState, parseIfconfig } from './ifconfig.js';
import { findProgram, runProgram } from './program.js';
import { readUnit, type ServiceUnit } from './unit.js';

/** What is known of the machine that we are on. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  /** process.arch */
  readonly architecture: NodeJS.Architecture;
  /** os.release() */
  readonly release: string;
  readonly isRoot: boolean;
  /** the variable PATH */
  readonly searchPath: string;
  /** by ifconfig(8); undefined: it cannot be had */
  readonly interfaces: ReadonlyMap<string, InterfaceState> | undefined;
  /** name of the interface by address */
  readonly addresses: ReadonlyMap<Address, string>;
  /** whether it forwards packets of a family; undefined: not known */
  readonly forwards: Readonly<Record<Family, boolean | undefined>>;
  /** that systemd starts mxallowd by, if one is installed */
  readonly unit: ServiceUnit | undefined;
}

/** Looks at the machine that we are on. */
export async function readMachine(timeoutMs: number): Promise<Machine> {
  const searchPath = process.env['PATH'] ?? '';
  const ifconfig = findProgram('ifconfig', searchPath);
  const shown = ifconfig === undefined ? undefined : await runProgram(ifconfig, ['-a'], timeoutMs);
  const interfaces = shown?.ok === true ? parseIfconfig(shown.stdout) : undefined;
  const [forwards4, forwards6] = await Promise.all([
    readForwarding(4, searchPath, timeoutMs),
    readForwarding(6, searchPath, timeoutMs),
  ]);
  return {
    platform: process.platform,
    architecture: process.arch,
    release: release(),
    isRoot: process.getuid?.() === 0,
    searchPath,
    interfaces,
    addresses: ownAddresses(interfaces),
    forwards: { 4: forwards4, 6: forwards6 },
    unit: process.platform === 'linux' ? readUnit() : undefined,
  };
}

function ownAddresses(interfaces: ReadonlyMap<string, InterfaceState> | undefined): Map<Address, string> {
  const own = new Map<Address, string>();
  for (const [name, { addresses }] of interfaces ?? []) {
    for (const address of addresses) own.set(address, name);
  }
  for (const [name, all] of Object.entries(networkInterfaces())) {
    for (const { address: text } of all ?? []) {
      const address = parseAddress(text);
      if (address !== undefined) own.set(address, name);
    }
  }
  return own;
}

const SYSCTL: Readonly<Record<Family, string>> = {
  4: 'net.inet.ip.forwarding',
  6: 'net.inet6.ip6.forwarding',
};
const PROC: Readonly<Record<Family, string>> = {
  4: '/proc/sys/net/ipv4/ip_forward',
  6: '/proc/sys/net/ipv6/conf/all/forwarding',
};

async function readForwarding(
  family: Family,
  searchPath: string,
  timeoutMs: number,
): Promise<boolean | undefined> {
  if (process.platform === 'linux') {
    try {
      return readFileSync(PROC[family], 'latin1').trim() !== '0';
    } catch {
      return undefined;
    }
  }
  const sysctl = findProgram('sysctl', searchPath);
  if (sysctl === undefined) return undefined;
  const result = await runProgram(sysctl, ['-n', SYSCTL[family]], timeoutMs);
  return result.ok ? result.stdout.trim() !== '0' : undefined;
}
