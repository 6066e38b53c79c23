import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { explainGroup, explainLogSocket } from '../../src/capture/nflog-problem.js';
import type { Stage } from '../../src/demo/stage.js';
import { WORLD } from '../../src/demo/world.js';
import { SystemCallError } from '../../src/native/system-call.js';
import { tableText } from '../../src/nft/conf.js';
import { nftSpec } from '../../src/nft/spec.js';
import { NflogAction } from '../../src/packet/nflog.js';
import { Action } from '../../src/packet/pflog.js';
import { configOf } from '../support/config.js';
import { until } from '../support/daemon.js';
import type { NflogLine } from '../support/nflog-probe.js';
import { nftUnavailable, openStage, rootStageUnavailable } from '../support/stage.js';

const PROBE = fileURLToPath(new URL('../support/nflog-probe.js', import.meta.url));
const GROUP = 23;
const [FAKE] = WORLD.fake;
const [REAL] = WORLD.real;

/** A probe on the host mx. */
class Probe {
  readonly lines: NflogLine[] = [];
  readonly child: ChildProcess;

  constructor(
    private readonly stage: Stage,
    by: readonly string[] = [],
  ) {
    const argv = [...by, process.execPath, PROBE, String(GROUP)];
    this.child = stage.world.spawn('mx', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.child.stdout === null) throw new Error('no pipe');
    createInterface({ input: this.child.stdout }).on('line', (line) =>
      this.lines.push(JSON.parse(line) as NflogLine),
    );
  }

  static async open(stage: Stage): Promise<Probe> {
    const probe = new Probe(stage);
    await until('the group is open', () => probe.lines.some((line) => 'open' in line));
    return probe;
  }

  of<K extends string>(key: K): Extract<NflogLine, Record<K, unknown>>[] {
    return this.lines.filter((line): line is Extract<NflogLine, Record<K, unknown>> => key in line);
  }

  async statistics(): Promise<{ readonly received: number; readonly dropped: number | undefined }> {
    const before = this.of('received').length;
    this.stage.world.signal(this.child, 'SIGUSR2');
    await until('it tells', () => this.of('received').length > before);
    const [last] = this.of('received').slice(-1);
    assert.ok(last !== undefined);
    return last;
  }
}

/** Sends so many packets of UDP to port 9. */
function sendUdp(stage: Stage, count: number): Promise<string> {
  const code = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${count}): s.sendto(b"x", ("${REAL}", 9))`;
  return stage.world.script(`python3 -c '${code}'`, 'internet');
}

function logRule(threshold: number): string {
  const log = `log prefix "mxallowd refused" group ${GROUP} snaplen 128 queue-threshold ${threshold}`;
  return `nft 'add table inet t
add chain inet t input { type filter hook input priority 0; }
add rule inet t input udp dport 9 ${log} drop'`;
}

describe('NFLOG', { skip: nftUnavailable() }, () => {
  let stage: Stage;
  before(async () => {
    stage = await openStage();
  });
  after(() => stage.close());
  const probes: Probe[] = [];
  const open = async (): Promise<Probe> => {
    const probe = await Probe.open(stage);
    probes.push(probe);
    return probe;
  };
  afterEach(async () => {
    for (const { child } of probes.splice(0)) {
      stage.world.signal(child, 'SIGTERM');
      await until('it has ended', () => child.exitCode !== null);
    }
    await stage.world.script('nft flush ruleset', 'mx');
  });

  it('tells of each SYN what our rules have done with it', async () => {
    const servers = { fakeMailserver: WORLD.fake, realMailserver: WORLD.real };
    const spec = nftSpec(
      configOf({ ...servers, firewall: ['nft'], allow: ['203.0.113.7'] }, 'linux'),
      'live',
    );
    await stage.world.script(`nft -f - <<'X'\n${tableText(spec)}X`, 'mx');
    const probe = await open();
    assert.equal((await stage.send('198.51.100.1', REAL, 500)).outcome, 'no answer');
    assert.equal((await stage.send('198.51.100.2', FAKE)).outcome, 'refused');
    assert.equal((await stage.send('198.51.100.2', REAL)).outcome, 'delivered');
    assert.equal((await stage.send('203.0.113.7', REAL)).outcome, 'delivered');
    await stage.world.script(`nft 'add element inet mx_white granted4 { 198.51.100.3 timeout 1h }'`, 'mx');
    assert.equal((await stage.send('198.51.100.3', REAL)).outcome, 'delivered');
    await until('all are told', () => probe.of('action').length >= 5);
    const { DROP, PASS, PASS_TRIED } = NflogAction;
    assert.deepEqual(
      probe.of('action').slice(0, 5),
      [
        [DROP, '198.51.100.1', REAL],
        [DROP, '198.51.100.2', FAKE],
        [PASS_TRIED, '198.51.100.2', REAL],
        [PASS, '203.0.113.7', REAL],
        [PASS, '198.51.100.3', REAL],
      ].map(([action, source, destination]) => ({ action, source, destination, isSyn: true })),
    );
  });

  it("says of a packet that another's rule has logged that no rule of ours did", async () => {
    await stage.world.script(
      logRule(1).replace('udp dport 9', 'tcp dport 25').replace('mxallowd ', ''),
      'mx',
    );
    const probe = await open();
    await stage.send('198.51.100.1', REAL, 500);
    await until('it is told', () => probe.of('action').length > 0);
    assert.equal(probe.of('action')[0]?.action, Action.NONE);
  });

  it('takes many messages that the kernel has gathered, and the rest of them a moment later', async () => {
    await stage.world.script(logRule(64), 'mx');
    const probe = await open();
    await sendUdp(stage, 100);
    await until('all have come', () => probe.of('undecoded').length === 100);
    assert.deepEqual(probe.of('undecoded')[99], { undecoded: 'not-tcp' });
    assert.deepEqual(await probe.statistics(), { received: 100, dropped: 0 });
  });

  it('counts what the kernel could not deliver', async () => {
    await stage.world.script(logRule(1), 'mx');
    const probe = await open();
    const count = 60_000;
    stage.world.signal(probe.child, 'SIGSTOP');
    await sendUdp(stage, count);
    stage.world.signal(probe.child, 'SIGCONT');
    await until('it reads again', () => probe.of('undecoded').length > 0);
    await sendUdp(stage, 1);
    let last = { received: 0, dropped: 0 };
    await until('all is known', async () => {
      const { received, dropped = 0 } = await probe.statistics();
      last = { received, dropped };
      return received + dropped === count + 1;
    });
    assert.ok(last.dropped > 0, 'more was sent than there is room for');
    assert.ok(last.received > 0);
  });

  it('says that another program has the group', async () => {
    await open();
    const second = new Probe(stage);
    await until('it says so', () => second.lines.length > 0);
    const message = `NFLOG group ${GROUP} is taken by another program: end that, or choose another nflog-group (then nft-conf --install)`;
    assert.deepEqual(second.lines, [{ error: message, kind: 'died' }]);
  });

  it('says that it takes CAP_NET_ADMIN', { skip: rootStageUnavailable() }, async () => {
    const probe = new Probe(stage, ['setpriv', '--reuid', '65534', '--clear-groups']);
    await until('it says so', () => probe.lines.length > 0);
    assert.deepEqual(
      probe.of('error').map(({ kind }) => kind),
      ['permission'],
    );
  });
});

describe('a group of NFLOG that cannot be had', () => {
  it('is explained', () => {
    const cases = [
      [1, true, /taken by another program/, 'died'],
      [1, false, /CAP_NET_ADMIN is needed/, 'permission'],
      [16, true, /taken by another program/, 'died'],
      [95, true, /modprobe nfnetlink_log/, 'unavailable'],
      [22, true, /modprobe nfnetlink_log/, 'unavailable'],
      [undefined, true, /did not answer/, 'died'],
      [5, true, /error 5/, 'died'],
    ] as const;
    for (const [errno, capable, words, kind] of cases) {
      const error = explainGroup(7, errno, capable);
      assert.match(error.message, words);
      assert.equal(error.kind, kind);
    }
    assert.match(explainLogSocket(new SystemCallError('socket', 'EAFNOSUPPORT')).message, /no nfnetlink/);
    assert.match(explainLogSocket(new SystemCallError('recvmmsg', 'ENOSYS')).message, /has no recvmmsg/);
    assert.equal(explainLogSocket(new SystemCallError('bind', 'EPERM')).kind, 'permission');
  });
});
