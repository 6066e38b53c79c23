// npm run demo: sets everything up and judges the recordings that come with the package.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, installPackages, root, run } from './run.mjs';

installPackages();
build();
const folder = join(root, 'examples', 'recordings');
const files = readdirSync(folder).filter((name) => /\.pcap(\.gz)?$/.test(name));
const paths = files.map((name) => join('examples', 'recordings', name));
const args = [
  'dist/cli.js',
  'replay',
  '-c',
  'examples/recordings/mxallowd.conf',
  ...process.argv.slice(2),
  ...paths,
];
console.log(`\n$ mxallowd ${args.slice(1).join(' ')}\n`);
run(process.execPath, args);
