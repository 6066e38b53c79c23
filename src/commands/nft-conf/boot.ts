// How the distribution loads rules at the boot.
import { existsSync } from 'node:fs';
import { readBytes } from '../../pf/files.js';

/** Where distributions keep what nft loads at the boot: Debian and Arch, Fedora and RHEL, Alpine. */
export const NFT_CONFS: readonly string[] = [
  '/etc/nftables.conf',
  '/etc/sysconfig/nftables.conf',
  '/etc/nftables.nft',
];

/** Whether one of these files includes another: by its name, or by its folder. */
export function includes(text: string, path: string): boolean {
  return text.split('\n').some((line) => /^\s*include\s+"([^"]+)"/.exec(line)?.[1] === path);
}

/**
 * What there is to say about the boot.
 * @param path - of our file
 * @param files - where the distribution may keep its rules
 */
export function bootLines(path: string, files: readonly string[] = NFT_CONFS): string[] {
  const there = files.filter((file) => existsSync(file));
  const includer = there.find((file) => includes(readBytes(file) ?? '', path));
  if (includer !== undefined) return [`at the boot ${includer} loads it`];
  const [main = '/etc/nftables.conf'] = there;
  return [
    'at the boot mxallowd loads it when it starts. To have it before that, as the last line of',
    `${main}:  include "${path}"`,
    'and: systemctl enable nftables (Alpine: rc-update add nftables)',
  ];
}

/** The file that includes ours, so that it would not load without it; undefined: none. */
export function includerOf(path: string, files: readonly string[] = NFT_CONFS): string | undefined {
  return files.find((file) => includes(readBytes(file) ?? '', path));
}
