import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import ts from 'typescript';
import { packageFolder } from '../src/version.js';
import { CLI, runProgram } from './support/cli.js';

const OLD = ['12', '18', '20.18.0'];
const INSTALL_MS = 120_000;

/** An old Node, from npm's package `node`, kept for the next time; undefined where it cannot be had. */
async function oldNode(version: string): Promise<string | undefined> {
  const folder = join(tmpdir(), `mxallowd-node-${version}`);
  const path = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{}');
  const args = [
    'install',
    '--no-audit',
    '--no-fund',
    '--fetch-retries=0',
    '--prefix',
    folder,
    `node@${version}`,
  ];
  await promisify(execFile)('npm', args, { timeout: INSTALL_MS }).catch(() => undefined);
  return existsSync(path) ? path : undefined;
}

describe('a Node that is too old', () => {
  for (const version of OLD)
    it(`is told so: ${version}`, async (t) => {
      const node = await oldNode(version);
      if (node === undefined) {
        t.skip('it cannot be installed here');
        return;
      }
      for (const args of [['--version'], ['-F', '-s'], ['status']]) {
        const { status, stdout, stderr } = await runProgram(node, [CLI, ...args]);
        assert.match(stderr, /^mxallowd needs Node\.js 20\.19 or newer, this is \d+\.\d+\.\d+\n$/);
        assert.deepEqual([status, stdout], [69, '']);
      }
    });

  it('is what package.json says', () => {
    const { engines } = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    assert.equal(engines.node, '>=20.19');
  });
});

describe('the entry', () => {
  const text = readFileSync(CLI, 'utf8');

  it('has no syntax that is younger than ES2019', () => {
    const options = { target: ts.ScriptTarget.ES2019, module: ts.ModuleKind.ESNext, removeComments: false };
    const print = (target: ts.ScriptTarget): string =>
      ts.transpileModule(text, { compilerOptions: { ...options, target } }).outputText;
    assert.equal(print(ts.ScriptTarget.ES2019), print(ts.ScriptTarget.ESNext));
  });

  it('imports nothing by itself, and handles SIGUSR1 first', () => {
    for (const name of ['cli.js', join('process', 'engine-main.js')]) {
      const path = join(packageFolder(), 'build', 'src', name);
      const file = ts.createSourceFile(name, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext);
      assert.deepEqual(
        file.statements.filter(ts.isImportDeclaration).map((node) => node.getText(file)),
        [],
      );
      assert.match(file.statements[0]?.getText(file) ?? '', /^process\.on\('SIGUSR1', /);
    }
  });
});

describe('too few descriptors', () => {
  for (const [limit, args] of [
    // with fewer, what fails is Node's search for a package, and it does not say why
    [40, ['--version']],
    [40, ['-F', '-s', '-f', '192.0.2.3', '-r', '192.0.2.4', '--pfctl', '/nonexistent/pfctl']],
    [40, ['status', '--control-socket', '/nonexistent/socket']],
  ] as const)
    it(`are a sentence: ulimit -n ${limit}; mxallowd ${args.join(' ')}`, async () => {
      const command = ['-c', `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath, CLI, ...args];
      const { status, stdout, stderr } = await runProgram('/bin/sh', command);
      assert.equal(stderr, 'mxallowd: too many open files (EMFILE): raise the limit, see "ulimit -n"\n');
      assert.deepEqual([status, stdout], [71, '']);
    });
});
