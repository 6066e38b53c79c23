// npm test: sets everything up, then checks format, lint and types, and runs the tests.
//   npm test -- NAME...    only the test files whose path contains a NAME
//   npm run check          format, lint and types only
//   npm run test:long      what takes longer: hundreds of kills and starts, by hand before a release
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build, hasTool, installPackages, installSystemPackages, root, runTool } from './run.mjs';
import { unpackSystemPackages } from './unpack.mjs';

const names = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const isStatic = process.argv.includes('--static');
const isLong = process.argv.includes('--long');
const ending = isLong ? '.long.js' : '.test.js';

/**
 * What some tests use: a real tcpdump, libpcap's headers for the optional packages, namespaces, rules, mail, DNS,
 * signatures and certificates, shells, a terminal, manual pages.
 */
const PACKAGES = [
  ...['tcpdump', 'libpcap-dev', 'g++', 'make', 'python3'],
  ...['iproute2', 'iptables', 'nftables', 'util-linux', 'procps', 'postfix', 'postgrey', 'nsd', 'systemd'],
  ...['unbound', 'ldnsutils', 'openssl'],
  ...['mksh', 'dash', 'shellcheck', 'tmux', 'mandoc'],
];

/** Mail servers that send to ours; they cannot be installed beside Postfix. */
const UNPACKED = ['exim4-daemon-light', 'sendmail-bin', 'opensmtpd'];

function step(title) {
  console.log(`\n== ${title}`);
}

if (!isStatic) {
  const otherwise = 'tests that need them will be skipped';
  installSystemPackages(PACKAGES, otherwise);
  unpackSystemPackages(UNPACKED, otherwise);
}
installPackages();
step('format');
runTool('prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']);
step('lint');
if (hasTool('eslint/bin/eslint.js')) runTool('eslint/bin/eslint.js', ['.']);
else console.log('eslint is not installed: skipped');
step('types');
rmSync(join(root, 'build'), { recursive: true, force: true });
runTool('typescript/bin/tsc', ['-p', 'tsconfig.test.json']);
build();
if (isStatic) process.exit(0);

step('tests');
const files = readdirSync(join(root, 'build', 'test'), { recursive: true })
  .map(String)
  .filter(
    (name) => name.endsWith(ending) && (names.length === 0 || names.some((part) => name.includes(part))),
  )
  .sort()
  .map((name) => join('build', 'test', name));
const totals = join(root, 'build', 'totals');
const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...['--test-reporter=./scripts/totals.mjs', `--test-reporter-destination=${totals}`],
    // ends what hangs; a test that waits in vain says before what it waited for
    `--test-timeout=${isLong ? 3_600_000 : 900_000}`,
    // some of the time a test waits for a process that it has started
    `--test-concurrency=${availableParallelism() + 1}`,
    ...files,
  ],
  { cwd: root, stdio: 'inherit' },
);
// behind the failures, so that the counts are the last lines
step('the slowest files, and all in all');
process.stdout.write(readFileSync(totals, 'utf8'));
process.exitCode = status ?? 1;
