// npm run demo: sets everything up and shows mxallowd at work: on Linux with real packets in network namespaces of
// its own, elsewhere with the recordings that come with the package.
import { build, installPackages, installSystemPackages, root, run } from './run.mjs';
import { join } from 'node:path';

installSystemPackages(['iproute2', 'iptables', 'util-linux'], 'recordings will be shown instead');
installPackages();
build();
console.log('\n$ mxallowd demo\n');
run(process.execPath, [join(root, 'dist', 'cli.js'), 'demo', ...process.argv.slice(2)]);
