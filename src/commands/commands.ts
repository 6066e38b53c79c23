// The list of commands, each loaded when it is used.
import type { Command } from './command.js';

/** The same, not loaded yet: whoever starts the daemon does not wait for what is not needed. */
interface Loadable {
  readonly name: string;
  /** one line for the list of commands */
  readonly help: string;
  readonly load: () => Promise<Command>;
}

/** All commands, in the order of the help. */
export const COMMANDS: readonly Loadable[] = [
  {
    name: 'status',
    help: 'whether the daemon works, and what is wrong',
    load: async () => (await import('./status/status.js')).command,
  },
  {
    name: 'list',
    help: 'the whitelist, or a part of it',
    load: async () => (await import('./list/list.js')).command,
  },
  {
    name: 'refused',
    help: 'who was refused, and whether it got in since',
    load: async () => (await import('./refused/refused.js')).command,
  },
  {
    name: 'stats',
    help: 'what was counted',
    load: async () => (await import('./stats/stats.js')).command,
  },
  {
    name: 'watch',
    help: 'a live screen: rates, newest events, who is refused',
    load: async () => (await import('./watch/watch.js')).command,
  },
  {
    name: 'allow',
    help: 'whitelist an address for some time',
    load: async () => (await import('./allow.js')).command,
  },
  {
    name: 'forget',
    help: 'take an address out of the whitelist',
    load: async () => (await import('./forget.js')).command,
  },
  {
    name: 'reload',
    help: 'read the configuration again, as SIGHUP does',
    load: async () => (await import('./reload.js')).command,
  },
  {
    name: 'why',
    help: 'what is known of an address, and what follows',
    load: async () => (await import('./why/why.js')).command,
  },
  {
    name: 'fleet',
    help: 'the gateways that share their whitelist with this one',
    load: async () => (await import('./fleet/fleet.js')).command,
  },
  {
    name: 'check',
    help: 'look at the whole set-up, and say what is wrong with it',
    load: async () => (await import('./check.js')).command,
  },
  {
    name: 'check-config',
    help: 'read the configuration, and say what is wrong',
    load: async () => (await import('./check-config.js')).command,
  },
  {
    name: 'replay',
    help: 'judge recordings of pf or tcpdump (FILE...), and say why',
    load: async () => (await import('./replay/replay.js')).command,
  },
  {
    name: 'spf',
    help: "the networks of a domain's SPF record (NAME...)",
    load: async () => (await import('./spf.js')).command,
  },
  {
    name: 'pf-conf',
    help: "print or install pf's rules (OpenBSD, FreeBSD)",
    load: async () => (await import('./pf-conf/pf-conf.js')).command,
  },
  {
    name: 'nft-conf',
    help: "print or install nftables' rules (Linux)",
    load: async () => (await import('./nft-conf/nft-conf.js')).command,
  },
  {
    name: 'demo',
    help: 'show it at work, in network namespaces of its own',
    load: async () => (await import('./demo.js')).command,
  },
];

/** The names of all commands, in the order of the help. */
export const COMMAND_NAMES: readonly string[] = COMMANDS.map(({ name }) => name);
