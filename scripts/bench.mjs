// npm run bench: sets everything up and runs the benchmarks, one after the other.
//   npm run bench -- NAME...    only those whose name contains a NAME
//   npm run bench -- peers      mxallowd beside what others use; only when it is named, for it takes ten minutes
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, installSystemPackages, root, run, runTool } from './run.mjs';
import { unpackSystemPackages } from './unpack.mjs';

/** What stands before mail servers elsewhere, and what mail is sent with. */
const PEERS = [
  'postfix',
  'nsd',
  'iptables',
  'iproute2',
  'postgrey',
  'rspamd',
  'redis-server',
  'procps',
  'gcc',
];

installPackages();
runTool('typescript/bin/tsc', ['-p', 'tsconfig.test.json']);
const names = process.argv.slice(2);
const withPeers = names.some((part) => 'peers'.includes(part));
if (withPeers) {
  installSystemPackages([...PEERS, 'libnetfilter-queue-dev'], 'without them there is less to compare');
  unpackSystemPackages(['exim4-daemon-light'], 'it is skipped');
}
const files = readdirSync(join(root, 'build', 'bench'))
  .filter(
    (name) =>
      name.endsWith('.bench.js') &&
      (withPeers || name !== 'peers.bench.js') &&
      (names.length === 0 || names.some((part) => name.includes(part))),
  )
  .sort();
for (const file of files) {
  console.log(`\n== ${file.replace('.bench.js', '')}`);
  run(process.execPath, ['--expose-gc', join('build', 'bench', file)]);
}
