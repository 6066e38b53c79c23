import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Stage } from '../../src/demo/stage.js';
import { World, WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { mailUnavailable, Postfix } from '../support/mail.js';
import { openStage, stageUnavailable } from '../support/stage.js';

const folder = packageFolder();
const nftables = readFileSync(join(folder, 'examples', 'nftables.conf'), 'utf8');
const document = readFileSync(join(folder, 'docs', 'nfqueue.md'), 'utf8');

function without(program: string): string | undefined {
  return spawnSync(program, ['--version']).error === undefined ? undefined : `${program} is not installed`;
}

describe('rules for Linux', { skip: stageUnavailable() }, () => {
  const scratch = new Scratch();
  let stage: Stage;
  before(async () => (stage = await openStage()));
  after(async () => {
    await stage.close();
    scratch.remove();
  });

  it('the iptables lines of docs/nfqueue.md load as they stand', async () => {
    const lines = document.match(/^ *ip6?tables +-A .*$/gm) ?? [];
    // what comes in, and what goes out
    assert.equal(lines.length, 4);
    await stage.world.script(lines.join('\n'), 'mx');
    const better = document.match(/^ *ip6?tables +-I .*$/gm) ?? [];
    assert.equal(better.length, 2);
    await stage.world.script(better.join('\n'), 'mx');
    for (const tool of ['iptables', 'ip6tables']) {
      const rules = await stage.world.script(`${tool} -S INPUT`, 'mx');
      // the real MX's comes first
      assert.match(
        rules,
        / -d .*--dport 25 .*--queue-num 24\n-A INPUT -p tcp .*--dport 25 .*--queue-num 23\n/,
      );
      const out = await stage.world.script(`${tool} -S OUTPUT`, 'mx');
      assert.match(out, /-A OUTPUT ! -o lo -p tcp .*--dport 25 .*--queue-num 23 --queue-bypass\n/);
    }
  });

  describe('examples/nftables.conf', { skip: without('nft') }, () => {
    it('is right, as far as this kernel has queues', async () => {
      const path = scratch.file('nftables.conf', nftables);
      const { status, stderr } = await stage.world.run('mx', ['nft', '-c', '-f', path]);
      const complaints = stderr.split('\n').filter((line) => line.includes('Error'));
      // the kernel has no expression "queue": the one thing that may be missing
      const missing = /:\d+:29-39: Error: Could not process rule: No such file or directory$/;
      assert.deepEqual(
        complaints.filter((line) => !missing.test(line)),
        [],
      );
      assert.equal(status === 0, complaints.length === 0);
    });

    it('is right with what is commented out, too, which refuses at the fake MX', async () => {
      const all = nftables
        .replace(/^\t#(?! )/gm, '\t')
        .replaceAll(/^.* queue (?:flags bypass )?to 2[34]$/gm, '');
      const path = scratch.file('all.conf', all);
      await stage.world.script(`nft -f '${path}'`, 'mx');
      const loaded = await stage.world.script('nft list table inet mxallowd', 'mx');
      assert.match(loaded, /ip daddr 192\.0\.2\.3 tcp dport 25 reject with tcp reset/);
      assert.match(loaded, /priority filter \+ 1/);
    });
  });
});

describe('Postfix with the line of docs/nfqueue.md', { skip: mailUnavailable() }, () => {
  const scratch = new Scratch();
  let world: World;
  before(async () => {
    // for the user postfix
    chmodSync(scratch.folder, 0o755);
    world = await World.create('root');
  });
  after(async () => {
    await world.close();
    scratch.remove();
  });

  it('listens on the real MX and for the machine itself, and not on the fake MX', async () => {
    const [, addresses = ''] = /^ *inet_interfaces = (.*)$/m.exec(document) ?? [];
    const smtpd = 'smtp inet n - n - - smtpd\n';
    const settings = { inet_interfaces: addresses, smtp_bind_address: '', smtp_bind_address6: '' };
    const postfix = await Postfix.start(world, scratch.path('postfix'), settings, 'mx', smtpd);
    let listeners: string[] = [];
    await until('Postfix listens', async () => {
      const lines = (await world.script("ss -Hltn 'sport = :25'", 'mx')).split('\n');
      listeners = lines.flatMap((line) => line.split(/\s+/)[3] ?? []);
      return listeners.length > 0;
    });
    const [real, real6] = WORLD.real;
    assert.deepEqual(listeners.sort(), [`127.0.0.1:25`, `${real}:25`, `[${real6}]:25`, '[::1]:25']);
    await postfix.stop();
  });
});

describe('systemd/mxallowd.service', { skip: without('systemd-analyze') }, () => {
  it('is exposed to 2.3 of 10 at the most', () => {
    const unit = join(folder, 'systemd', 'mxallowd.service');
    const args = ['security', '--offline=true', '--threshold=23', '--no-pager', unit];
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    assert.match(stdout, /Overall exposure level for mxallowd\.service: 2\.[0-3]/, stderr);
    assert.equal(status, 0);
  });

  it('is understood by systemd, every line of it', () => {
    const scratch = new Scratch();
    const text = readFileSync(join(folder, 'systemd', 'mxallowd.service'), 'utf8');
    // the program must be there
    const unit = scratch.file('mxallowd.service', text.replaceAll(/=(!?)mxallowd /g, '=$1/bin/true '));
    const args = ['verify', '--man=no', unit];
    const { status, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    scratch.remove();
    assert.equal(stderr, '');
    assert.equal(status, 0);
    // who is started again when it hangs must say that it goes on
    for (const line of ['Type=notify', 'WatchdogSec=30', 'Restart=on-failure', 'NotifyAccess=all']) {
      assert.ok(text.includes(`\n${line}\n`), line);
    }
  });

  it('starts what the README installs, with options that there are', () => {
    const text = readFileSync(join(folder, 'systemd', 'mxallowd.service'), 'utf8');
    const commands = [...text.matchAll(/^Exec(?:Start|StartPre)=(.*)$/gm)].map((match) => match[1]);
    assert.deepEqual(commands, ['!mxallowd check-config', '!mxallowd -F -s']);
  });
});
