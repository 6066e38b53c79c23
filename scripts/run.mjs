// What the other scripts share: running programs, and setting the project up.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** Installs the npm packages when they are missing or the lock file has changed. */
export function installPackages() {
  const stamp = join(root, 'node_modules', '.mxallowd-setup');
  const lock = readFileSync(join(root, 'package-lock.json'));
  const state = createHash('sha256').update(lock).update(process.version).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return;
  console.log('installing npm packages');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, state);
}

/** Compiles src/ to dist/. */
export function build() {
  // what an earlier version has left must not be packed
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  runTool('typescript/bin/tsc', ['-p', 'tsconfig.json']);
}
