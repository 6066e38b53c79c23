// What ifconfig(8) and ip(8) print: which interface has which address. Pure.
import { type Address, parseAddress } from '../packet/address.js';

/** A network interface as ifconfig(8) shows it. */
export interface InterfaceState {
  /** as `UP`, `RUNNING` */
  readonly flags: readonly string[];
  /** interface groups, as `egress`, `pflog` */
  readonly groups: readonly string[];
  readonly addresses: readonly Address[];
}

/** `em0: flags=8843<UP,BROADCAST,RUNNING> mtu 1500`, on OpenBSD, FreeBSD (`metric 0 mtu 1500`) and Linux. */
const HEAD = /^(\S+): flags=[0-9a-f]+<([^>]*)>/;
/** `\tinet 192.0.2.4 netmask ...`, `\tinet6 fe80::1%em0 prefixlen 64 ...` */
const ADDRESS = /^\s+inet6? ([^\s%/]+)/;
const GROUPS = /^\s+groups: (.+)$/;

/** Reads what `ifconfig -a` prints: interfaces by name. What is not understood is left out. */
export function parseIfconfig(text: string): Map<string, InterfaceState> {
  const interfaces = new Map<string, InterfaceState>();
  let current: { flags: string[]; groups: string[]; addresses: Address[] } | undefined;
  for (const line of text.split('\n')) {
    const head = HEAD.exec(line);
    if (head !== null) {
      current = { flags: (head[2] ?? '').split(','), groups: [], addresses: [] };
      interfaces.set(head[1] ?? '', current);
      continue;
    }
    const address = parseAddress(ADDRESS.exec(line)?.[1] ?? '');
    if (address !== undefined) current?.addresses.push(address);
    const groups = GROUPS.exec(line)?.[1];
    if (groups !== undefined) current?.groups.push(...groups.trim().split(/\s+/));
  }
  return interfaces;
}
