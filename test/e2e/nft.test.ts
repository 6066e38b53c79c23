import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import type { LogEvent } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { packageFolder } from '../../src/version.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { NftScene } from '../support/nft-scene.js';
import { nftUnavailable, rootStageUnavailable } from '../support/stage.js';
import { tcpdumpUnavailable } from '../support/wire.js';

const [FAKE, FAKE6] = WORLD.fake;
const [REAL, REAL6] = WORLD.real;
/** Long enough for the SYN to be sent once more, after a second. */
const ONE_MORE_SYN_MS = 1600;
const DAY_S = 86_400;
const KNOWN_S = 8 * DAY_S;
const HOUR_S = 3600;
const EXAMPLE = join(packageFolder(), 'examples', 'mxallowd.conf');

const isDecision =
  (kind: string, source: string) =>
  ({ event, source: who }: LogEvent): boolean =>
    event === kind && who === source;

describe('mxallowd with nftables', { skip: nftUnavailable() ?? rootStageUnavailable() }, () => {
  const scratch = new Scratch();
  let scene: NftScene;
  beforeEach(async () => {
    scene = await NftScene.open(scratch);
  });
  afterEach(() => scene.close());
  after(() => scratch.remove());

  const send = async (from: string, to: string, ms?: number): Promise<string> =>
    (await scene.stage.send(from, to, ms)).outcome;
  const refused = async (from: string, to: string = REAL): Promise<void> =>
    assert.equal(await send(from, to, ONE_MORE_SYN_MS), 'no answer');
  const deliver = async (from: string, fake: string = FAKE, real: string = REAL): Promise<void> => {
    assert.equal(await send(from, fake), 'refused');
    assert.equal(await send(from, real), 'delivered');
  };

  it('tells of attempts, refusals and admissions, and the admitted one is known from then on', async () => {
    const daemon = await scene.daemon();
    await refused('198.51.100.9');
    await deliver('198.51.100.1');
    await deliver('2001:db8:1000::1', FAKE6, REAL6);
    await daemon.event(isDecision('refusal', '198.51.100.9'));
    for (const source of ['198.51.100.1', '2001:db8:1000::1']) {
      await daemon.event(isDecision('attempt', source));
      await daemon.event(isDecision('admission', source));
    }
    await until('both are granted', async () => {
      const all = [...(await scene.set('granted4')), ...(await scene.set('granted6'))];
      return all.length === 2 && all.every(([, seconds]) => seconds > KNOWN_S - HOUR_S && seconds <= KNOWN_S);
    });
    assert.deepEqual([...(await scene.set('granted4')).keys()], ['198.51.100.1']);
    assert.deepEqual([...(await scene.set('granted6')).keys()], ['2001:db8:1000::']);
    const { stdout } = await scene.ask('list');
    assert.match(stdout, /^198\.51\.100\.1 +attempt /m);
    assert.deepEqual(
      daemon.events
        .filter(({ level }) => level === 'error' || level === 'warn')
        .map(({ message }) => message),
      [],
    );
  });

  it('that was killed: the kernel goes on, and what happened meanwhile is taken in at the next start', async () => {
    const first = await scene.daemon();
    await deliver('198.51.100.1');
    await until('it is known', async () => (await scene.set('granted4')).has('198.51.100.1'));
    first.signal('SIGKILL');
    await first.ended;
    await deliver('198.51.100.2');
    assert.equal(await send('198.51.100.1', REAL), 'delivered');
    await refused('198.51.100.9');

    const second = await scene.daemon();
    const { stdout } = await scene.ask('list');
    assert.match(stdout, /^198\.51\.100\.1 +attempt /m);
    assert.match(stdout, /^198\.51\.100\.2 +attempt /m);
    assert.equal(await send('198.51.100.2', REAL), 'delivered');
    await second.event(isDecision('admission', '198.51.100.2'));
    await until('the new one is known, too', async () => (await scene.set('granted4')).has('198.51.100.2'));
  });

  it('takes in what is in the sets though the state file is lost, with the time that is left', async () => {
    const first = await scene.daemon('--state-file', 'none');
    await deliver('198.51.100.1');
    await until('it is known', async () => (await scene.set('granted4')).has('198.51.100.1'));
    assert.equal(await send('198.51.100.2', FAKE), 'refused');
    first.signal('SIGTERM');
    await first.ended;
    await scene.daemon('--state-file', 'none');
    const { stdout } = await scene.ask('list', '--json');
    const list = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { prefix: string; origin: string; expiresInMs: number });
    const of = (prefix: string): { origin: string; expiresInMs: number } | undefined =>
      list.find((one) => one.prefix === prefix);
    assert.equal(of('198.51.100.1')?.origin, 'attempt');
    assert.ok((of('198.51.100.1')?.expiresInMs ?? 0) > (KNOWN_S - HOUR_S) * 1000);
    assert.equal(of('198.51.100.2')?.origin, 'attempt');
    assert.ok((of('198.51.100.2')?.expiresInMs ?? Infinity) <= HOUR_S * 1000);
  });

  it('puts back what was flushed: the rules, and everybody who was let in', async () => {
    const daemon = await scene.daemon();
    await deliver('198.51.100.1');
    await until('it is known', async () => (await scene.set('granted4')).has('198.51.100.1'));
    assert.equal(await send('198.51.100.2', FAKE), 'refused');
    await daemon.event(isDecision('attempt', '198.51.100.2'));
    await scene.nft('flush ruleset');
    await daemon.event(({ event }) => event === 'rules-restored');
    await until('all are back', async () => (await scene.set('granted4')).size === 2);
    const back = await scene.set('granted4');
    assert.ok((back.get('198.51.100.1') ?? 0) > KNOWN_S - HOUR_S);
    assert.ok((back.get('198.51.100.2') ?? Infinity) <= HOUR_S);
    await refused('198.51.100.9');
    assert.equal(await send('198.51.100.2', REAL), 'delivered');
    await deliver('198.51.100.3');
  });

  it('puts back the mode that was installed, and nothing that was switched off or never installed', async () => {
    await scene.install('--learn');
    const daemon = await scene.daemon();
    await scene.nft('flush ruleset');
    await daemon.event(({ event }) => event === 'rules-restored');
    assert.match(await scene.nft('list table inet mx_white'), /comment "mxallowd 1 learn /);
    assert.equal(await send('198.51.100.9', REAL), 'delivered');

    assert.equal((await scene.nftConf('--off', '--yes')).status, 0);
    await daemon.event(({ event }) => event === 'rules-off');
    assert.doesNotMatch(await scene.nft('list tables'), /mx_white/);
    daemon.signal('SIGTERM');
    await daemon.ended;

    await assert.rejects(scene.daemon(), /nft-conf --install/);
    assert.doesNotMatch(await scene.nft('list tables'), /mx_white/);
    await scene.nftConf('--uninstall', '--yes');
    await assert.rejects(scene.daemon(), /nft-conf --install/);
  });

  it('takes mail for a host behind it, and at it, by one set', async () => {
    // the fake MX is this machine's, the real one is behind it
    await scene.stage.world.script(
      `ip netns add inner
ip -n mx link add eth1 type veth peer name eth0 netns inner
ip -n mx link set eth1 up
ip -n inner link set eth0 up
ip -n inner link set lo up
ip -n mx address del ${REAL}/24 dev eth0
ip -n mx address add 10.0.0.1/24 dev eth1
ip -n inner address add 10.0.0.2/24 dev eth0
ip -n inner address add ${REAL}/32 dev lo
ip -n inner route add default via 10.0.0.1
ip -n mx route add ${REAL}/32 via 10.0.0.2
nsenter --net=/run/netns/mx sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/eth0/proxy_arp'`,
    );
    const daemon = await scene.daemon();
    // nothing listens there: who gets through is refused by that host
    await refused('198.51.100.9');
    assert.equal(await send('198.51.100.1', FAKE), 'refused');
    assert.equal(await send('198.51.100.1', REAL), 'refused', 'it has got through');
    await daemon.event(isDecision('refusal', '198.51.100.9'));
    await daemon.event(isDecision('admission', '198.51.100.1'));
    await until('it is known', async () => (await scene.set('granted4')).has('198.51.100.1'));
  });

  it('loads what was installed when it starts, if it is not there', async () => {
    await scene.nft('flush ruleset');
    await scene.daemon();
    await refused('198.51.100.9');
    await deliver('198.51.100.1');
  });

  it('allow and forget: in the sets at once, forget in the kernel’s own, too', async () => {
    const daemon = await scene.daemon();
    assert.equal((await scene.ask('allow', '198.51.100.1', '--for', '2d')).status, 0);
    await until('it is granted', async () => (await scene.set('granted4')).has('198.51.100.1'));
    assert.equal(await send('198.51.100.1', REAL), 'delivered');
    assert.equal(await send('198.51.100.2', FAKE), 'refused');
    await daemon.event(isDecision('attempt', '198.51.100.2'));
    assert.ok((await scene.set('tried4')).has('198.51.100.2'));
    for (const address of ['198.51.100.1', '198.51.100.2']) {
      assert.equal((await scene.ask('forget', address)).status, 0);
    }
    await until('both are gone', async () => {
      const all = [...(await scene.set('granted4')), ...(await scene.set('tried4'))];
      return all.length === 0;
    });
    await refused('198.51.100.1');
    await refused('198.51.100.2');
  });

  it('takes over another configuration: addresses and allow are in the kernel at once, other rules are told', async () => {
    const config = scratch.file(
      'reload.conf',
      [
        ...WORLD.fake.map((one) => `fake-mailserver ${one}`),
        ...WORLD.real.map((one) => `real-mailserver ${one}`),
      ].join('\n'),
    );
    const daemon = await scene.daemon('-c', config);
    await refused('203.0.113.7');
    appendFileSync(config, '\nallow 203.0.113.0/28\n');
    daemon.signal('SIGHUP');
    await daemon.event(({ event }) => event === 'reloaded');
    await until('it is allowed', async () =>
      (await scene.nft('list set inet mx_white allowed4')).includes('203.0.113.0/28'),
    );
    assert.equal(await send('203.0.113.7', REAL), 'delivered');
    await daemon.event(isDecision('admission', '203.0.113.7'));
    assert.equal((await scene.set('granted4')).size, 0, 'it needs no entry');
    appendFileSync(config, 'max-entries 5000\n');
    daemon.signal('SIGHUP');
    await daemon.event(({ event }) => event === 'rules-differ');
  });

  it('outbound: lets in those to whom this machine opens connections', async () => {
    await scene.install('--outbound');
    const daemon = await scene.daemon('--outbound');
    await refused('198.51.100.20');
    const connect = `require('node:net').connect({ host: '198.51.100.20', port: 25 }).on('error', () => 0)`;
    await scene.stage.world.run('mx', [process.execPath, '-e', connect]);
    await daemon.event(({ event }) => event === 'outbound');
    await until('it is granted', async () => (await scene.set('granted4')).has('198.51.100.20'));
    assert.equal(await send('198.51.100.20', REAL), 'delivered');
  });

  it('reads by tcpdump, too, where koffi cannot be loaded', { skip: tcpdumpUnavailable() }, async () => {
    const daemon = await scene.daemon('--capture', 'tcpdump');
    await refused('198.51.100.9');
    await deliver('198.51.100.1');
    await daemon.event(isDecision('refusal', '198.51.100.9'));
    await daemon.event(isDecision('admission', '198.51.100.1'));
    await until('it is known', async () => (await scene.set('granted4')).has('198.51.100.1'));
  });

  it('strangers redirect: led to another port of the real MX at once, told so, and known by no means', async () => {
    const strangers = ['--strangers', 'redirect 10025'];
    await scene.install(...strangers);
    const serve = `for (const host of ${JSON.stringify(WORLD.real)})
      require('node:net').createServer((s) => s.on('error', () => 0).end('220 greylisted\\r\\n')).listen(10025, host)`;
    scene.stage.world.spawn('mx', [process.execPath, '-e', serve], { stdio: 'ignore' });
    const daemon = await scene.daemon(...strangers);
    const greeting = async (from: string, to: string): Promise<string> => {
      const connect = `const s = require('node:net').connect({ host: '${to}', port: 25, localAddress: '${from}' });
        s.on('data', (data) => { console.log(String(data).trim()); s.destroy(); }).on('error', (e) => console.log(e.code))`;
      return (await scene.stage.world.run('internet', [process.execPath, '-e', connect])).stdout.trim();
    };
    await until('it listens', async () => (await greeting('198.51.100.8', REAL)) === '220 greylisted');
    assert.equal(await greeting('198.51.100.9', REAL), '220 greylisted');
    assert.equal(await greeting('2001:db8:1000::9', REAL6), '220 greylisted');
    for (const source of ['198.51.100.9', '2001:db8:1000::9'])
      await daemon.event(isDecision('redirected', source));
    await deliver('198.51.100.1');
    await daemon.event(isDecision('admission', '198.51.100.1'));
    assert.match(await greeting('198.51.100.1', REAL), /^220 mx\.example\.org/);
    await until('it is known', async () => (await scene.set('granted4')).size > 0);
    assert.deepEqual([...(await scene.set('granted4')).keys()], ['198.51.100.1']);
    assert.match((await scene.ask('why', '198.51.100.9')).stdout, /led elsewhere/);
  });

  it('strangers mark: they pass with the mark, for a rule of somebody else', async () => {
    const strangers = ['--strangers', 'mark 7'];
    await scene.install(...strangers);
    await scene.nft('add table inet own');
    await scene.nft('add chain inet own in { type filter hook input priority 10; }');
    await scene.nft('add rule inet own in meta mark 7 tcp dport 25 reject with tcp reset');
    const daemon = await scene.daemon(...strangers);
    assert.equal(await send('198.51.100.9', REAL), 'refused', 'by that rule');
    await daemon.event(isDecision('redirected', '198.51.100.9'));
    await deliver('198.51.100.1');
  });

  it('check looks for rules that use the mark of strangers, and for those that lead mail to a queue', async () => {
    const strangers = ['--strangers', 'mark 7'];
    await scene.install(...strangers);
    const check = async (): Promise<string> => {
      const args = ['--firewall', 'nft', '--nft-rules', scene.rules, ...strangers];
      return (await scene.ask('check', '-c', EXAMPLE, ...args)).stdout.replace(/\n +/g, ' ');
    };
    const useless = await check();
    assert.match(useless, /^error +strangers: no rule uses packet mark 7 for 192\.0\.2\.4, /m);
    await scene.nft('add table inet own');
    await scene.nft('add chain inet own in { type filter hook input priority 10; }');
    await scene.nft('add rule inet own in meta mark 7 tcp dport 25 reject with tcp reset');
    const queue = '-t mangle -A PREROUTING -p tcp --dport 25 -j NFQUEUE --queue-num 23';
    await scene.stage.world.script(`iptables ${queue}`, 'mx');
    const better = await check();
    assert.match(better, /^ok +strangers: "meta mark 0x00000007 tcp dport 25 reject/m);
    assert.doesNotMatch(better, /^error +strangers/m);
    assert.match(
      better,
      /^error +nft: ".*NFQUEUE.*": nobody answers that queue with "firewall nft": mail is dropped/m,
    );
  });

  it('check finds all right, and what is not', async () => {
    await scene.daemon();
    await deliver('198.51.100.1');
    const check = async (): Promise<string> =>
      (
        await scene.ask('check', '-c', EXAMPLE, '--firewall', 'nft', '--nft-rules', scene.rules)
      ).stdout.replace(/\n +/g, ' ');
    const well = await check();
    for (const words of [
      /^ok +nft: table inet mx_white is there$/m,
      /^ok +nft: the rules are as they should be$/m,
      /^ok +nft: the kernel has the addresses of the configuration$/m,
      /^ok +nft: since the rules were loaded 1 SYN to the fake MX, 1 to the real one$/m,
      /^ok +nft: a program reads group 23 of NFLOG$/m,
    ]) {
      assert.match(well, words);
    }
    assert.doesNotMatch(well, /^(?:warning|error) +(?:nft|strangers)/m);
    await scene.nft('add element inet mx_white fake4 { 192.0.2.99 }');
    await scene.nft('add rule inet mx_white mail ip saddr 198.51.100.66 accept');
    await scene.nft('add table ip filter');
    await scene.nft('add chain ip filter INPUT { type filter hook input priority 0; policy drop; }');
    await scene.nft('add table inet own');
    await scene.nft('add chain inet own in { type filter hook input priority -10; }');
    await scene.nft('add rule inet own in tcp dport { 25, 110 } counter drop');
    const ill = await check();
    for (const words of [
      /^error +nft: the kernel has other addresses than the configuration: fake 192\.0\.2\.99 is not configured /m,
      /^warning +nft: 1 rule is not mxallowd's: mail: ip saddr 198\.51\.100\.66 accept /m,
      /^warning +nft: chain INPUT of table ip filter drops what it does not let in, and has no rule for port 25 /m,
      /^warning +nft: chain in of table inet own drops mail, and no other rule can let it in: "tcp dport \{ 25, 110 \} /m,
    ]) {
      assert.match(ill, words);
    }
  });
});

describe('mxallowd with nftables, many senders', { skip: nftUnavailable() ?? rootStageUnavailable() }, () => {
  const scratch = new Scratch();
  let scene: NftScene;
  beforeEach(async () => {
    scene = await NftScene.open(scratch);
  });
  afterEach(() => scene.close());
  after(() => scratch.remove());

  const sender = (i: number): string => `198.18.${(i >> 8) & 255}.${i & 255}`;
  const both = async (i: number): Promise<boolean> => {
    const fake = await scene.stage.send(sender(i), FAKE);
    const real = await scene.stage.send(sender(i), REAL);
    return fake.outcome === 'refused' && real.outcome === 'delivered';
  };
  const all = async (count: number, first = 0): Promise<number> => {
    const results = await Promise.all(Array.from({ length: count }, (_, i) => both(first + i)));
    return results.filter(Boolean).length;
  };

  it('a thousand that try both at once get in at their first SYN, with the daemon and without', async () => {
    assert.equal(await all(1000), 1000, 'without');
    await scene.daemon();
    assert.equal(await all(1000, 1000), 1000, 'with');
    await until('those who came after it are known', async () => {
      const known = await scene.set('granted4');
      return Array.from({ length: 1000 }, (_, i) => sender(1000 + i)).every((one) => known.has(one));
    });
    const { stdout } = await scene.ask('status');
    assert.match(stdout, /^entries: +2,?000 of at most/m);
  });

  it('killed: sixty known ones and sixty new ones get in, and no bot', async () => {
    const daemon = await scene.daemon();
    assert.equal(await all(60), 60);
    await until('they are known', async () => (await scene.set('granted4')).size === 60);
    daemon.signal('SIGKILL');
    await daemon.ended;
    // their attempts are forgotten, as an hour later
    await scene.nft('flush set inet mx_white tried4');
    const known = await Promise.all(Array.from({ length: 60 }, (_, i) => scene.stage.send(sender(i), REAL)));
    assert.equal(known.filter(({ outcome }) => outcome === 'delivered').length, 60);
    assert.equal(await all(60, 60), 60);
    const bots = await Promise.all(
      Array.from({ length: 60 }, (_, i) => scene.stage.send(sender(1000 + i), REAL, ONE_MORE_SYN_MS)),
    );
    assert.equal(bots.filter(({ outcome }) => outcome === 'delivered').length, 0);
    await scene.daemon();
    const { stdout } = await scene.ask('status');
    assert.match(stdout, /^entries: +120 of at most/m);
  });

  it('flushed while they come: nobody is lost for good, and the rules are back', async () => {
    const daemon = await scene.daemon();
    assert.equal(await all(300), 300);
    await until('they are known', async () => (await scene.set('granted4')).size === 300);
    const running = all(300, 300);
    await scene.nft('flush ruleset');
    await daemon.event(({ event }) => event === 'rules-restored');
    await running;
    await until('those of before are back', async () => (await scene.set('granted4')).size >= 300);
    const known = await scene.set('granted4');
    assert.ok(
      Array.from({ length: 300 }, (_, i) => sender(i)).every(
        (one) => (known.get(one) ?? 0) > KNOWN_S - HOUR_S,
      ),
    );
    assert.equal((await scene.stage.send(sender(7), REAL)).outcome, 'delivered');
    assert.equal((await scene.stage.send('203.0.113.99', REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    assert.ok(
      [...known.values()].every((seconds) => seconds <= KNOWN_S),
      'nothing is immortal',
    );
  });

  it('of more than there is room for the last ones are let in, and the first are given up in the kernel, too', async () => {
    await scene.install('--max-entries', '200');
    await scene.daemon('--max-entries', '200');
    // one after the other: who has been let in is not the first to go
    for (let i = 0; i < 230; i++)
      assert.ok(await both(i), `${i}: there is a quarter more room until room is made`);
    await until('room is made', async () => {
      const sets = await Promise.all(['tried4', 'granted4'].map((name) => scene.set(name)));
      return sets.every((set) => set.size <= 200);
    });
    assert.equal((await scene.stage.send(sender(229), REAL)).outcome, 'delivered');
    assert.equal((await scene.stage.send(sender(0), REAL, ONE_MORE_SYN_MS)).outcome, 'no answer');
    const { stdout } = await scene.ask('status');
    assert.match(stdout, /^entries: +200 of at most 200/m);
  });
});
