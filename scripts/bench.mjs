// npm run bench: sets everything up and runs the benchmarks, one after the other.
//   npm run bench -- NAME...    only those whose name contains a NAME
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, root, run, runTool } from './run.mjs';

installPackages();
runTool('typescript/bin/tsc', ['-p', 'tsconfig.test.json']);
const names = process.argv.slice(2);
const files = readdirSync(join(root, 'build', 'bench'))
  .filter(
    (name) => name.endsWith('.bench.js') && (names.length === 0 || names.some((part) => name.includes(part))),
  )
  .sort();
for (const file of files) {
  console.log(`\n== ${file.replace('.bench.js', '')}`);
  run(process.execPath, ['--expose-gc', join('build', 'bench', file)]);
}
