// What the other scripts share: running programs, and setting the project up.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program; ends this one with its status when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error !== undefined) {
    console.error(`${command}: ${result.error.message}`);
    process.exit(1);
  }
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Runs one of the development tools with this very Node. */
export function runTool(path, args) {
  run(process.execPath, [join(root, 'node_modules', path), ...args]);
}

/** Whether a development tool is installed. */
export function hasTool(path) {
  return existsSync(join(root, 'node_modules', path));
}

/** Installs Debian packages that are missing, where that can be done without asking. */
export function installSystemPackages(packages, otherwise) {
  const asRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) return;
  const missing = packages.filter((name) => {
    const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
    return query.stdout !== 'installed';
  });
  if (missing.length === 0) return;
  if (!asRoot) {
    console.log(`not root, so not installed: ${missing.join(', ')}; ${otherwise}`);
    return;
  }
  console.log(`installing ${missing.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['-qq', 'update'], { stdio: 'inherit', env });
  const args = ['-qq', '-y', '--no-install-recommends', 'install', ...missing];
  const install = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
  if (install.status !== 0) console.log(`apt-get failed: ${otherwise}`);
}

/** What npm has put into node_modules, in the form of package-lock.json; npm keeps it up (npm 7 and newer). */
const INSTALLED = join('node_modules', '.package-lock.json');
/** The version of Node's interface to compiled packages for which this script has installed them. */
const COMPILED_FOR = join('node_modules', '.mxallowd-node');

/**
 * Why the npm packages must be installed, for people.
 * @returns undefined when they are there as package-lock.json wants them, whoever installed them
 */
export function whyInstall(folder = root) {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(folder, INSTALLED), 'utf8'));
  } catch {
    return 'they are not there';
  }
  for (const [place, { version, integrity, optional, link }] of Object.entries(lock.packages)) {
    const found = installed.packages[place];
    const name = place.replace(/^.*node_modules\//, '');
    // other systems' packages, and those that did not build here, are left out
    if (place === '' || link || (found === undefined && optional)) continue;
    if (found === undefined) return `${name} is not there`;
    if (found.version !== version || found.integrity !== integrity)
      return `${name} is ${found.version}, package-lock.json wants ${version}`;
  }
  const compiledFor = existsSync(join(folder, COMPILED_FOR))
    ? readFileSync(join(folder, COMPILED_FOR), 'utf8')
    : process.versions.modules;
  if (compiledFor !== process.versions.modules) return 'they were compiled for another Node.js';
  return undefined;
}

/** Installs the npm packages where that is needed, and says so. */
export function installPackages() {
  const why = whyInstall();
  if (why === undefined) {
    console.log('npm packages: they are there');
    return;
  }
  console.log(`npm packages: installing them (npm ci), for ${why}`);
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(join(root, COMPILED_FOR), process.versions.modules);
}

/** Compiles src/ to dist/. */
export function build() {
  // what an earlier version has left must not be packed
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  console.log('compiling (some seconds)');
  runTool('typescript/bin/tsc', ['-p', 'tsconfig.json']);
}
