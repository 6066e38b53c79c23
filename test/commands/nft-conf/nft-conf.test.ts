import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import type { Stage } from '../../../src/demo/stage.js';
import { type Finished, missingTools, WORLD } from '../../../src/demo/world.js';
import { packageFolder } from '../../../src/version.js';
import { CLI, runCli, Scratch } from '../../support/cli.js';
import { openStage, stageUnavailable } from '../../support/stage.js';

const scratch = new Scratch();
after(() => scratch.remove());

const CONFIG = join(packageFolder(), 'examples', 'mxallowd.conf');
const [FAKE, FAKE6] = WORLD.fake;
const [REAL, REAL6] = WORLD.real;
/** Longer than a SYN and its first repetition. */
const ONE_MORE_SYN_MS = 1500;

function unavailable(): string | undefined {
  return stageUnavailable() ?? (missingTools(['nft']).length > 0 ? 'nft is not installed' : undefined);
}

describe('mxallowd nft-conf', () => {
  it('prints what --install would load, on every system', async () => {
    const { status, stdout, stderr } = await runCli(['nft-conf', '-c', CONFIG]);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.match(stdout, /^# nftables rules for mxallowd\. Generated: .*\n# mode: live\n/);
    assert.match(stdout, /\tcomment "mxallowd 1 live [0-9a-f]{8}"\n/);
  });

  it('says what does not go together', async () => {
    const cases = [
      [['--install', '--off'], /^mxallowd: --install and --off exclude each other$/m],
      [['--off', '--learn'], /^mxallowd: --learn and --off exclude each other$/m],
      [['--replace-queue'], /^mxallowd: --replace-queue goes with --install$/m],
      [['word'], /^mxallowd: "word" is not an option$/m],
    ] as const;
    for (const [args, expected] of cases) {
      const { status, stderr } = await runCli(['nft-conf', '-c', CONFIG, ...args]);
      assert.match(stderr, expected);
      assert.equal(status, 64);
    }
  });
});

describe('mxallowd nft-conf in the kernel', { skip: unavailable() }, () => {
  let stage: Stage;
  let count = 0;
  let rules = '';
  let boot = '';
  beforeEach(async () => {
    stage = await openStage();
    rules = scratch.path(`rules-${count}.nft`);
    boot = scratch.file(`nftables-${count++}.conf`, '#!/usr/sbin/nft -f\n\nflush ruleset\n');
  });
  afterEach(() => stage.close());

  const nftConf = (...args: string[]): Promise<Finished> => {
    const where = ['-c', CONFIG, '--nft-rules', rules, '--nft-conf', boot];
    return stage.world.run('mx', [process.execPath, CLI, 'nft-conf', ...where, ...args]);
  };
  const install = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await nftConf('--install', '--yes', ...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const nft = (text: string): Promise<string> => stage.world.script(`nft ${text}`, 'mx');
  const send = async (from: string, to: string): Promise<string> =>
    (await stage.send(from, to, ONE_MORE_SYN_MS)).outcome;

  it('--install: the kernel alone lets in who has tried, IPv6 by the network; once more it does nothing', async () => {
    const said = await install();
    assert.match(said, /^table inet mx_white is loaded$/m);
    assert.match(said, new RegExp(`include "${rules}"`));
    const senders = [
      ['198.51.100.1', FAKE, REAL],
      ['2001:db8:1000::1', FAKE6, REAL6],
    ] as const;
    for (const [from, fake, real] of senders) {
      assert.equal(await send(from, real), 'no answer');
      assert.equal(await send(from, fake), 'refused');
      assert.equal(await send(from, real), 'delivered');
    }
    assert.equal(await send('2001:db8:1000::2', REAL6), 'delivered', 'of the same /64');
    assert.equal(await send('2001:db8:1000:1::2', REAL6), 'no answer', 'of another');
    assert.match(await install(), /^table inet mx_white and .* are as they should be\n$/);
  });

  it('keeps who is there when the rules change, and touches no other table', async () => {
    await nft("-f - <<'X'\ntable inet other { set s { type ipv4_addr; elements = { 192.0.2.99 }; }; }\nX");
    const before = await nft('list table inet other');
    await install();
    assert.equal(await send('198.51.100.1', FAKE), 'refused');
    await nft("'add element inet mx_white granted4 { 198.51.100.2 timeout 1d }'");
    const said = await install('--whitelist-time', '2h');
    assert.match(said, /^2 entries have been taken along, with the time left$/m);
    assert.equal(await send('198.51.100.1', REAL), 'delivered');
    assert.equal(await send('198.51.100.2', REAL), 'delivered');
    assert.equal(await send('198.51.100.3', REAL), 'no answer');
    assert.match(await nft('list set inet mx_white granted4'), /198\.51\.100\.2 timeout .* expires 23h59m/);
    assert.equal(await nft('list table inet other'), before);
  });

  it('--learn lets strangers in; --off and --uninstall everybody, and the file does nothing, or is gone', async () => {
    await install('--learn');
    assert.equal(await send('198.51.100.1', REAL), 'delivered');
    assert.match(readFileSync(rules, 'utf8'), /^# mode: learn$/m);
    await install();
    assert.equal(await send('198.51.100.2', REAL), 'no answer');

    assert.equal((await nftConf('--off', '--yes')).status, 0);
    assert.match(readFileSync(rules, 'utf8'), /^# mode: off$/m);
    await nft(`-f ${rules}`);
    assert.doesNotMatch(await nft('list tables'), /mx_white/);
    assert.equal(await send('198.51.100.2', REAL), 'delivered');

    await install();
    assert.equal((await nftConf('--uninstall', '--yes')).status, 0);
    assert.equal(existsSync(rules), false);
    assert.match((await nftConf('--off')).stdout, /^there is no table .*: nothing to do\n$/);
  });

  it('--uninstall leaves a file that the boot includes, without effect', async () => {
    await install();
    writeFileSync(boot, `flush ruleset\ninclude "${rules}"\n`);
    assert.match((await nftConf('--uninstall', '--yes')).stdout, /stays, without effect, for .* includes it/);
    await nft(`-f ${boot}`);
    assert.doesNotMatch(await nft('list tables'), /mx_white/);
  });

  it("the file is what the distribution's rules can include", async () => {
    await install();
    writeFileSync(boot, `flush ruleset\ninclude "${rules}"\n`);
    await nft(`-f ${boot}`);
    assert.equal(await send('198.51.100.1', REAL), 'no answer');
    assert.match(await install(), /as they should be/);
  });

  it('leaves alone what is not ours, without --yes, too', async () => {
    assert.match((await nftConf('--install')).stderr, /this needs --yes/);
    writeFileSync(rules, 'table inet mine { }\n');
    const foreign = await nftConf('--install', '--yes');
    assert.match(foreign.stderr, /has not been written by this command/);
    assert.equal(foreign.status, 65);
    await nft("'add table inet mx_white; add chain inet mx_white mine'");
    assert.match(
      (await nftConf('--install', '--yes')).stderr,
      /that has not been made by this command \(it has no comment\)/,
    );
    assert.match(await nft('list table inet mx_white'), /chain mine/);
  });

  it("2.0.0's rules are shown, and taken away only with --replace-queue", async () => {
    const example = readFileSync(
      join(packageFolder(), 'test', 'fixtures', 'nft', '2.0.0-nftables.conf'),
      'latin1',
    );
    const old = `flush ruleset\n\n${example}`;
    writeFileSync(boot, old);
    // this kernel may have no "queue"
    await nft(`-f - <<'X'\n${example.replaceAll(/^.* queue to 2\d$/gm, '')}\nX`);
    await stage.world.script('iptables -A INPUT -p tcp --dport 25 -j NFQUEUE --queue-num 23', 'mx');
    const refused = await nftConf('--install', '--yes');
    assert.equal(refused.status, 65);
    assert.match(refused.stdout, /table inet mxallowd \{/);
    assert.match(refused.stdout, /\d+ lines of mxallowd 2\.0\.0/);
    assert.match(refused.stdout, /by hand: iptables -D INPUT .*NFQUEUE/);
    assert.equal(readFileSync(boot, 'latin1'), old);
    assert.equal(existsSync(rules), false);

    const said = await install('--replace-queue');
    assert.match(said, /^still to be done by you: iptables -D INPUT /m);
    assert.equal(readFileSync(boot, 'latin1').trim(), 'flush ruleset');
    assert.equal(readFileSync(`${boot}.before-mxallowd`, 'latin1'), old);
    assert.deepEqual((await nft('list tables')).match(/inet \w+/g), ['inet mx_white']);
  });

  it('lines of iptables are found in every table: they would drop all mail', async () => {
    const line = 'PREROUTING -p tcp -m tcp --dport 25 -m state --state NEW -j NFQUEUE --queue-num 23';
    await stage.world.script(`iptables -t mangle -A ${line}\nip6tables -t mangle -A ${line}`, 'mx');
    const { status, stdout } = await nftConf('--install', '--yes');
    assert.equal(status, 65);
    assert.match(stdout, /by hand: iptables -t mangle -D PREROUTING .*NFQUEUE/);
    assert.match(stdout, /by hand: ip6tables -t mangle -D PREROUTING .*NFQUEUE/);
    assert.equal(existsSync(rules), false);
  });

  it('says when the configuration is for another firewall', async () => {
    const { status, stderr } = await nftConf('--install', '--yes');
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^mxallowd: warning: the configuration has "firewall queue": these rules count /m);
  });

  it('puts the files back when the kernel refuses', async () => {
    await install();
    const before = readFileSync(rules, 'utf8');
    const broken = scratch.file('nft', '#!/bin/sh\ncase "$*" in "-f -") exit 1 ;; esac\nexec nft "$@"\n');
    await stage.world.script(`chmod 755 ${broken}`);
    const { status, stderr } = await nftConf('--install', '--yes', '--nft', broken, '--port', '26');
    assert.equal(status, 65);
    assert.match(stderr, /the rules could not be loaded\n.*\n.*the old files are back/);
    assert.equal(readFileSync(rules, 'utf8'), before);
  });
});
