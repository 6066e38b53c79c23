import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { packageFolder } from '../../src/version.js';
import { runProgram, Scratch } from '../support/cli.js';

/** A package of npm's that is made here: npm needs no registry for it. */
const NAME = 'made-here';

describe('npm packages are installed', () => {
  const scratch = new Scratch();
  const installed = scratch.path('node_modules/.package-lock.json');

  /** Runs a program in the project, with nothing but what is on this machine. */
  async function inProject(...argv: string[]): Promise<string> {
    const own = ['npm_config_offline=true', `npm_config_cache=${scratch.path('cache')}`, 'PWD='];
    const script = `cd '${scratch.folder}' && exec "$@"`;
    const ended = await runProgram('env', [...own, 'sh', '-c', script, 'sh', ...argv]);
    assert.equal(ended.status, 0, ended.stderr);
    return ended.stdout;
  }

  /** What a script of ours does before anything else. */
  const setUp = (): Promise<string> => inProject(process.execPath, 'set-up.mjs');

  /** The project's one package is another version from now on; the lock file says so. */
  async function want(version: string): Promise<void> {
    writeFileSync(scratch.path('made/package.json'), JSON.stringify({ name: NAME, version }));
    await inProject('npm', 'pack', '--silent', './made');
    const dependencies = { [NAME]: `file:${NAME}-${version}.tgz` };
    scratch.file('package.json', JSON.stringify({ name: 'project', version: '1.0.0', dependencies }));
    // or it would believe what is installed
    rmSync(scratch.path('package-lock.json'), { force: true });
    if (existsSync(installed)) renameSync(scratch.path('node_modules'), scratch.path('aside'));
    await inProject('npm', 'install', '--package-lock-only', '--no-audit', '--silent');
    if (existsSync(scratch.path('aside'))) renameSync(scratch.path('aside'), scratch.path('node_modules'));
  }

  before(async () => {
    mkdirSync(scratch.path('made'));
    cpSync(join(packageFolder(), 'scripts'), scratch.path('scripts'), { recursive: true });
    scratch.file('set-up.mjs', "import { installPackages } from './scripts/run.mjs';\ninstallPackages();\n");
    await want('1.0.0');
  });
  after(() => scratch.remove());

  it('when there are none, and it says so', async () => {
    assert.match(await setUp(), /^npm packages: installing them \(npm ci\), for they are not there\n/);
    assert.ok(statSync(scratch.path(`node_modules/${NAME}`)).isDirectory());
  });

  it('not a second time, and not after an npm ci by hand', async () => {
    const expected = 'npm packages: they are there\n';
    assert.equal(await setUp(), expected);
    await inProject('npm', 'ci', '--silent');
    const { ino } = statSync(installed);
    assert.equal(await setUp(), expected);
    assert.equal(statSync(installed).ino, ino);
  });

  it('when the lock file wants another version', async () => {
    await want('1.0.1');
    const why = `${NAME} is 1.0.0, package-lock.json wants 1.0.1`;
    assert.equal((await setUp()).split('\n')[0], `npm packages: installing them (npm ci), for ${why}`);
    assert.match(readFileSync(scratch.path(`node_modules/${NAME}/package.json`), 'utf8'), /1\.0\.1/);
  });

  it('when one has gone, and not for one that may be left out', async () => {
    const lock = JSON.parse(readFileSync(installed, 'utf8')) as {
      packages: Record<string, { optional?: boolean }>;
    };
    const place = `node_modules/${NAME}`;
    const all = JSON.parse(readFileSync(scratch.path('package-lock.json'), 'utf8')) as typeof lock;
    const other = { ...all.packages[place], optional: true };
    all.packages['node_modules/for-another-system'] = other;
    scratch.file('package-lock.json', JSON.stringify(all));
    assert.equal(await setUp(), 'npm packages: they are there\n');

    delete all.packages['node_modules/for-another-system'];
    scratch.file('package-lock.json', JSON.stringify(all));
    delete lock.packages[place];
    writeFileSync(installed, JSON.stringify(lock));
    rmSync(scratch.path(place), { recursive: true });
    assert.match(await setUp(), /, for made-here is not there\n/);
  });

  it('when they were compiled for another Node.js', async () => {
    scratch.file('node_modules/.mxallowd-node', '1');
    assert.match(await setUp(), /, for they were compiled for another Node\.js\n/);
    assert.equal(await setUp(), 'npm packages: they are there\n');
  });
});
