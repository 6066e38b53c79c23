import { CLIENT_COMMANDS } from './client-commands.js';

/** The names of all commands, in the order of the help. */
export const COMMAND_NAMES: readonly string[] = [
  ...CLIENT_COMMANDS.map(({ name }) => name),
  ...['why', 'check', 'check-config', 'replay', 'pf-conf', 'demo'],
];
