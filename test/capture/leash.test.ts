import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { howItEnded, type Leashed, startLeashed } from '../../src/capture/leash.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { isAlive } from '../support/processes.js';

const MODULE = fileURLToPath(new URL('../../src/capture/leash.js', import.meta.url));
/** Starts a program on a leash, then does nothing. */
const HOLDER = `
  const { startLeashed } = await import(process.argv[1]);
  startLeashed('/bin/sh', process.argv.slice(2), { PATH: process.env.PATH });
  setInterval(() => undefined, 1000);`;

describe('a program on a leash', { skip: process.platform !== 'linux' && 'looks at /proc' }, () => {
  let scratch: Scratch;
  let pidFile: string;
  beforeEach(() => {
    scratch = new Scratch();
    pidFile = scratch.path('pid');
  });
  afterEach(() => {
    if (existsSync(pidFile) && isAlive(pid())) process.kill(pid(), 'SIGKILL');
    scratch.remove();
  });

  const pid = (): number => Number(readFileSync(pidFile, 'latin1'));
  /** Does something, by a shell, then tells its number, and stays as another program. */
  const script = (before: string): string[] => [
    '-c',
    `${before} echo $$ >'${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'; exec sleep 600`,
  ];
  const start = (body: string): Leashed =>
    startLeashed('/bin/sh', ['-c', body], { PATH: process.env['PATH'] ?? '' });
  const isThere = (): Promise<void> => until('it runs', () => existsSync(pidFile));
  const ending = async ({ child }: Leashed): Promise<string> => {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return howItEnded(code, signal);
  };

  it('ends with its own status, and has its own output and an empty input', async () => {
    const leashed = start('cat; echo out; echo err >&2; exit 42');
    const { stdout, stderr } = leashed.child;
    const [out, err, how] = await Promise.all([stdout.toArray(), stderr.toArray(), ending(leashed)]);
    assert.deepEqual([String(out), String(err), how], ['out\n', 'err\n', 'ended with status 42']);
  });

  for (const name of ['TERM', 'KILL'] as const)
    it(`gets SIG${name}, and has nothing said of that`, async () => {
      const leashed = start(script('')[1] ?? '');
      const said = leashed.child.stderr.toArray();
      await isThere();
      leashed.signal(name);
      leashed.child.stdout.resume();
      assert.equal(await ending(leashed), `was killed by SIG${name}`);
      assert.deepEqual(await said, []);
      assert.equal(isAlive(pid()), false);
    });

  it('that has ended gets no signal', async () => {
    const leashed = start('exit 0');
    const how = ending(leashed);
    await once(leashed.child, 'exit');
    leashed.signal('KILL');
    assert.equal(await how, 'ended with status 0');
  });

  const hold = (before: string) =>
    spawn(process.execPath, ['--input-type=module', '-e', HOLDER, MODULE, ...script(before)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
    });

  it('ends when whoever holds it is killed', async () => {
    const holder = hold('');
    await isThere();
    holder.kill('SIGKILL');
    await until('it has gone', () => !isAlive(pid()));
  });

  it('ends then also when it does not want to', async () => {
    // what is ignored stays so over exec
    const holder = hold("trap '' TERM;");
    await isThere();
    holder.kill('SIGKILL');
    await until('it has gone', () => !isAlive(pid()));
  });

  it('does not hear the signals of a terminal, which end whoever holds it', async () => {
    const holder = hold('');
    await isThere();
    // to the whole process group, as a terminal does
    process.kill(-(holder.pid ?? 0), 'SIGINT');
    await once(holder, 'exit');
    await until('it has gone', () => !isAlive(pid()));
  });

  it('that is not there is an error at once', () => {
    assert.throws(() => startLeashed('/nonexistent', [], {}), { code: 'ENOENT' });
    assert.throws(() => startLeashed('/etc/passwd', [], {}), { code: 'EACCES' });
  });
});
