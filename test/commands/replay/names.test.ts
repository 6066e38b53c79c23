import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CLI, linesOf, runCli, Scratch } from '../../support/cli.js';
import { dnsUnavailable, NameServer, reverseZones, SlowServer } from '../../support/dns.js';
import { ipv4, join, tcp } from '../../support/frames.js';
import { pcapFile, type SavefileRecord } from '../../support/savefiles.js';
import { TerminalWindow, tmuxUnavailable } from '../../support/tmux.js';

const FAKE = '192.0.2.3';
const REAL = '192.0.2.4';
const FIRST = '198.51.100.1';
const OTHER_OF_NAME = '198.51.100.9';
const MEMBER = '198.51.100.2';
const PATIENT_MEMBER = '198.51.100.3';
const HONEST = '203.0.113.9';
const NAMELESS = '203.0.113.10';
const DIALUP = '203.0.113.77';
const ETHERNET = [...new Array<number>(12).fill(2), 8, 0];

let sequence = 0;

/** A SYN on a wire. */
function syn(seconds: number, source: string, destination: string): SavefileRecord {
  const packet = ipv4({ source, destination, payload: tcp({ sequence: ++sequence }) });
  return { seconds: 1_700_000_000 + seconds, bytes: join(Uint8Array.from(ETHERNET), packet) };
}

const scratch = new Scratch();
after(() => scratch.remove());

function options(server: string): string[] {
  const addresses = ['-f', FAKE, '-r', REAL, '--whitelist-time', '1h'];
  return ['replay', '--dns', ...addresses, '--dns-server', server, '--dns-timeout', '30'];
}

interface Event {
  readonly event: string;
  readonly at: string;
  readonly source?: string;
}

describe('mxallowd replay --dns', { skip: dnsUnavailable() }, () => {
  let server: NameServer;
  const file = scratch.file(
    'wire.pcap',
    pcapFile(
      [
        syn(0, FIRST, FAKE),
        syn(1, OTHER_OF_NAME, REAL),
        syn(2, MEMBER, REAL),
        syn(3, PATIENT_MEMBER, REAL),
        syn(4, PATIENT_MEMBER, REAL),
        syn(5, HONEST, REAL),
        syn(6, NAMELESS, REAL),
        syn(7, HONEST, REAL),
        syn(8, DIALUP, REAL),
        // an hour after the attempt, and the pool's window with it
        syn(3601, OTHER_OF_NAME, REAL),
        syn(3700, '198.51.100.4', REAL),
      ],
      { linkType: 1 },
    ),
  );

  before(async () => {
    server = await NameServer.start({
      'sender-example.com': [
        '@ TXT "v=spf1 ip4:198.51.100.0/24 -all"',
        `out A ${FIRST}`,
        `out A ${OTHER_OF_NAME}`,
        `f2 A ${MEMBER}`,
        `f3 A ${PATIENT_MEMBER}`,
        'f4 A 198.51.100.4',
      ].join('\n'),
      'other-example.net': [`@ TXT "v=spf1 ip4:${HONEST} -all"`, `mail A ${HONEST}`].join('\n'),
      'dialup-example.net': `203-0-113-77 A ${DIALUP}`,
      ...reverseZones([
        [FIRST, 'out.sender-example.com'],
        [MEMBER, 'f2.sender-example.com'],
        [PATIENT_MEMBER, 'f3.sender-example.com'],
        ['198.51.100.4', 'f4.sender-example.com'],
        [HONEST, 'mail.other-example.net'],
        [DIALUP, '203-0-113-77.dialup-example.net'],
      ]),
    });
  });
  after(() => server.dispose());

  it('admits other addresses of a name and members of a pool, and names who is kept out', async () => {
    const { status, stdout, stderr } = await runCli([...options(server.address), '--json', file]);
    assert.deepEqual([status, stderr], [0, '']);
    const lines = linesOf(stdout).map((line) => JSON.parse(line) as Event);
    const story = lines.slice(0, -1).map(({ event, at, source }) => `${at.slice(11, 19)} ${event} ${source}`);
    assert.deepEqual(story, [
      `22:13:20 attempt ${FIRST}`,
      `22:13:20 resolved ${FIRST}`,
      `22:13:20 named ${OTHER_OF_NAME}`,
      `22:13:21 admission ${OTHER_OF_NAME}`,
      `22:13:22 refusal ${MEMBER}`,
      `22:13:22 pooled ${MEMBER}`,
      `22:13:23 refusal ${PATIENT_MEMBER}`,
      `22:13:23 pooled ${PATIENT_MEMBER}`,
      `22:13:24 admission ${PATIENT_MEMBER}`,
      `22:13:25 refusal ${HONEST}`,
      `22:13:26 refusal ${NAMELESS}`,
      `22:13:27 refusal ${HONEST}`,
      `22:13:28 refusal ${DIALUP}`,
      `23:13:20 expiry ${FIRST}`,
      // who has reached the real MX stays for days
      `23:13:21 admission ${OTHER_OF_NAME}`,
      `23:13:22 expiry ${MEMBER}`,
      `23:15:00 refusal 198.51.100.4`,
    ]);
    const { event, senders, keptOut, named, pooled } = lines.at(-1) as unknown as Record<string, unknown>;
    assert.equal(event, 'summary');
    assert.deepEqual([named, pooled], [1, 2]);
    assert.deepEqual(senders, { seen: 8, admitted: 2, refused: 6, nextTime: 1, directToFake: 2 });
    assert.deepEqual(keptOut, [
      { address: HONEST, refusals: 2, name: 'mail.other-example.net', spf: 'pass' },
      { address: NAMELESS, refusals: 1 },
      { address: DIALUP, refusals: 1, name: '203-0-113-77.dialup-example.net' },
      { address: '198.51.100.4', refusals: 1, name: 'f4.sender-example.com', spf: 'pass' },
    ]);
  });

  it('prints for people a table of those who are kept out, 80 columns wide', async () => {
    const { stdout } = await runCli([...options(server.address), '--summary', file]);
    const lines = linesOf(stdout);
    const start = lines.findIndex((line) => line.startsWith('REFUSED, NEVER ADMITTED'));
    assert.deepEqual(lines.slice(start), [
      'REFUSED, NEVER ADMITTED  REFUSALS  SPF   NAME',
      '203.0.113.9                     2  pass  mail.other-example.net',
      '203.0.113.10                    1',
      '203.0.113.77                    1        203-0-113-77.dialup-example.net',
      '198.51.100.4                    1  pass  f4.sender-example.com',
    ]);
    assert.ok(lines.includes('  by name, by pool        1, 2'));
  });

  it('without DNS knows nothing of names', async () => {
    const { stdout } = await runCli(['replay', '-f', FAKE, '-r', REAL, '--json', '--summary', file]);
    const { admissions, keptOutCount } = JSON.parse(stdout) as Record<string, number>;
    assert.deepEqual([admissions, keptOutCount], [0, 7]);
  });
});

describe('mxallowd replay --dns on a terminal', { skip: tmuxUnavailable() }, () => {
  it('shows how far it is while DNS takes its time, and nothing of that in the end', async () => {
    const slow = await SlowServer.start({ delay: 'hold' });
    const window = await TerminalWindow.open(80, 24);
    try {
      const records = Array.from({ length: 40 }, (_, i) => syn(i, `198.51.100.${i + 1}`, REAL));
      const recording = scratch.file('forty.pcap', pcapFile(records, { linkType: 1 }));
      window.enter(
        `${process.execPath} ${CLI} ${options(slow.address).join(' ')} ${recording} >${scratch.path('out')}`,
      );
      await window.shows(/^\[#* *\] +\d+ % \d+ frames, \d+ look-ups$/);
      slow.release();
      await window.shows('ready$');
      const screen = window.screen().join('\n');
      assert.doesNotMatch(screen, /look-ups/);
    } finally {
      window.close();
      await slow.dispose();
    }
  });
});
