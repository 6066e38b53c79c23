// The options of `mxallowd nft-conf`, checked.
import { resolve } from 'node:path';
import type { Given } from '../../config/config.js';
import { OPTIONS } from '../../config/options.js';
import type { Problem } from '../../config/problem.js';
import { escapeText } from '../../packet/escape.js';
import {
  collectOptions,
  type ExtraOption,
  extraValues,
  type ParsedArguments,
  wordsOf,
} from '../arguments.js';
import { NFT_CONFS } from './boot.js';

/** Options of `mxallowd nft-conf`. */
export const NFT_CONF_OPTIONS: readonly ExtraOption[] = [
  { name: 'install', help: 'load the table, and write its file for the boot' },
  { name: 'learn', help: 'strangers get in as well, and are told: to look first' },
  { name: 'off', help: 'take the table away; its file does nothing then' },
  { name: 'uninstall', help: 'take the table and its file away' },
  { name: 'replace-queue', help: 'take the rules for NFQUEUE of 2.0.0 away as well' },
  { name: 'yes', help: 'do so without asking' },
  {
    name: 'nft-conf',
    value: 'PATH',
    help: 'what nft loads at the boot',
    defaultText: 'by the distribution',
  },
];

/** What a command line of `mxallowd nft-conf` asks for. */
export interface NftWish {
  readonly act: 'print' | 'install' | 'off' | 'uninstall';
  readonly learns: boolean;
  readonly replacesQueue: boolean;
  readonly yes: boolean;
  /** files that nft may load at the boot */
  readonly bootFiles: readonly string[];
  /** the command line that writes the rules anew */
  readonly command: readonly string[];
}

const ACTS = ['install', 'off', 'uninstall'] as const;

/** Reads the command line. */
export function readNftWish(argv: ParsedArguments): {
  wish: NftWish | undefined;
  given: Given[];
  problems: Problem[];
} {
  const { given, problems } = collectOptions(argv, 'all', NFT_CONF_OPTIONS);
  const wrong = (message: string): void => void problems.push({ where: '', kind: 'usage', message });
  for (const word of wordsOf(argv).slice(1)) wrong(`"${escapeText(word, 60)}" is not an option`);
  const has = (name: string): boolean => argv[name] === true;
  const acts = ACTS.filter(has);
  if (acts.length > 1) wrong(`--${acts.join(' and --')} exclude each other`);
  const act: NftWish['act'] = acts[0] ?? 'print';
  if (has('learn') && (act === 'off' || act === 'uninstall'))
    wrong(`--learn and --${act} exclude each other`);
  if (has('replace-queue') && act !== 'install') wrong('--replace-queue goes with --install');
  if (acts.length > 1) return { wish: undefined, given, problems };
  const bootFiles = extraValues(argv, 'nft-conf');
  const wish = {
    act,
    learns: has('learn'),
    replacesQueue: has('replace-queue'),
    yes: has('yes'),
    bootFiles: bootFiles.length === 0 ? NFT_CONFS : bootFiles.map((path) => resolve(path)),
    command: commandOf(argv, given),
  };
  return { wish, given, problems };
}

/** The same command line, to install; without the question whether to ask. */
function commandOf(argv: ParsedArguments, given: readonly Given[]): string[] {
  const options = given.flatMap(({ key, text }) => {
    const value = key === 'config' && text !== undefined ? resolve(text) : text;
    return [`--${OPTIONS[key].name}`, ...(value === undefined ? [] : [value])];
  });
  return ['mxallowd', 'nft-conf', '--install', ...(argv['learn'] === true ? ['--learn'] : []), ...options];
}
