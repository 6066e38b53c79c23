import type { ExtraOption, ParsedArguments } from './arguments.js';

/** A command that asks a running daemon. */
export interface ClientCommand {
  /** what it does, for its help; lines of at most 80 columns */
  readonly text: string;
  /** what stands on the command line beside options, for its help; may be empty */
  readonly words: string;
  /** beside those of the option table for clients */
  readonly options: readonly ExtraOption[];
  /** @returns exit status */
  readonly run: (argv: ParsedArguments) => Promise<number>;
}

/** The same, not loaded yet. */
interface Loadable {
  readonly name: string;
  /** one line for the list of commands */
  readonly help: string;
  readonly load: () => Promise<ClientCommand>;
}

/** The commands that ask a running daemon, in the order of the help. */
export const CLIENT_COMMANDS: readonly Loadable[] = [
  {
    name: 'status',
    help: 'whether the daemon works, and what is wrong',
    load: async () => (await import('./status.js')).command,
  },
  {
    name: 'list',
    help: 'the whitelist, or a part of it',
    load: async () => (await import('./list.js')).command,
  },
  {
    name: 'stats',
    help: 'what was counted',
    load: async () => (await import('./stats.js')).command,
  },
  {
    name: 'watch',
    help: 'a live screen: rates, newest events, who is refused',
    load: async () => (await import('./watch.js')).command,
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
];
