// Debian packages that cannot be installed beside each other, as mail servers: each is unpacked with all that it needs
// and this machine has not, into a folder of its own. Nothing of it is installed or started.
//   .packages/NAME/          as it would be below /
//   .packages/NAME.versions  what is in it; only there when it is complete
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

/** Folders of / that are links into /usr where that has been merged. */
const MERGED = ['bin', 'lib', 'lib64', 'sbin'];

/**
 * What apt-get would install for a package.
 * @param simulation - what `apt-get --simulate install` prints
 * @returns as apt-get takes them, `NAME=VERSION`, sorted
 */
export function whatIsMissing(simulation) {
  // a version in brackets is the one that is installed
  const installed = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /gm;
  return [...simulation.matchAll(installed)].map(([, name, version]) => `${name}=${version}`).sort();
}

/** Unpacks those of some packages that have not been. */
export function unpackSystemPackages(names, otherwise) {
  const missing = names.filter((name) => !existsSync(versionsOf(name)));
  if (missing.length === 0 || process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return;
  if (process.getuid?.() !== 0) {
    console.log(`not root, so not unpacked: ${missing.join(', ')}; ${otherwise}`);
    return;
  }
  const failed = missing.filter((name) => !unpack(name));
  if (failed.length === 0) return;
  // perhaps apt-get does not know yet what there is
  apt(['update']);
  const still = failed.filter((name) => !unpack(name));
  if (still.length > 0) console.log(`apt-get failed for ${still.join(', ')}: ${otherwise}`);
}

function versionsOf(name) {
  return join(root, '.packages', `${name}.versions`);
}

/** @returns whether it is there now */
function unpack(name) {
  const { status, stdout } = apt(['--simulate', '--no-install-recommends', 'install', name]);
  if (status !== 0) return false;
  const packages = whatIsMissing(stdout);
  console.log(`unpacking ${name} into .packages/`);
  const folder = join(root, '.packages', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const link of MERGED) {
    const target = linkOf(`/${link}`);
    if (target === undefined) continue;
    // tar makes a folder of a link to nothing
    mkdirSync(join(folder, target), { recursive: true });
    symlinkSync(target, join(folder, link));
  }
  const archives = mkdtempSync(join(root, '.packages', 'archives-'));
  try {
    const isDone =
      (packages.length === 0 || apt(['download', ...packages], archives).status === 0) &&
      spawnSync('sh', ['-c', EXTRACT, 'sh', archives, folder], { stdio: ['ignore', 'ignore', 'inherit'] })
        .status === 0;
    if (isDone) writeFileSync(versionsOf(name), packages.map((each) => `${each}\n`).join(''));
    return isDone;
  } finally {
    rmSync(archives, { recursive: true, force: true });
  }
}

/** @returns what a link leads to; undefined when it is none */
function linkOf(path) {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** `dpkg-deb --extract` makes folders of the links. */
const EXTRACT = `
for archive in "$1"/*.deb; do
  [ -e "$archive" ] || continue
  dpkg-deb --fsys-tarfile "$archive" | tar --extract --preserve-permissions --keep-directory-symlink --directory "$2" ||
    exit 1
done`;

function apt(args, cwd = root) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  return spawnSync('apt-get', ['-qq', ...args], { cwd, env, encoding: 'utf8' });
}
