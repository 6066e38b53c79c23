import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { packageFolder } from '../../../src/version.js';
import { type CliResult, CLI, linesOf, runCli, runProgram, Scratch } from '../../support/cli.js';
import { ipv4, join as concat, pflogHeader, tcp } from '../../support/frames.js';
import { ETHERNET_RECORDING, fixturePath, PFLOG_RECORDINGS } from '../../support/recordings.js';
import { pcapFile, type SavefileRecord } from '../../support/savefiles.js';

const CONFIG = join(packageFolder(), 'examples', 'recordings', 'mxallowd.conf');
const FAKE = '192.168.1.3';
const REAL = '192.168.1.4';

const scratch = new Scratch();
after(() => scratch.remove());

/** Runs `mxallowd replay` with the recordings' addresses. */
function replay(args: readonly string[], stdinFile?: string): Promise<CliResult> {
  return runCli(['replay', '-c', CONFIG, ...args], stdinFile);
}

function recording(name: string): string {
  return fixturePath(`pflog/${name}`);
}

interface Event {
  readonly event: string;
  readonly at?: string;
  readonly source?: string;
  readonly target?: string | null;
  readonly reason?: string;
}

interface Summary {
  readonly event: 'summary';
  readonly frames: number;
  readonly attempts: number;
  readonly refusals: number;
  readonly redirected: number;
  readonly admissions: number;
  readonly admissionsByPf: number;
  readonly letInByPf: readonly object[];
  readonly keptOutCount: number;
  readonly entries: number;
  readonly entriesAdded: number;
  readonly expired: number;
  readonly evicted: number;
  readonly senders: object;
  readonly delay: { readonly median: number | null; readonly longest: number | null };
  readonly unjudged: Readonly<Record<string, number>>;
  readonly from: string | null;
  readonly to: string | null;
}

/** The events before the summary as `time event source > target reason`, without the day and without what is absent. */
function eventsOf(stdout: string): string[] {
  return linesOf(stdout)
    .slice(0, -1)
    .map((line) => {
      const { at = '', event, source, target, reason = '' } = JSON.parse(line) as Event;
      const addresses = [source, target].filter((text) => typeof text === 'string').join(' > ');
      return [at.replace(/^.*T(.*)Z$/, '$1'), event, addresses, reason]
        .filter((text) => text !== '')
        .join(' ');
    });
}

function summaryOf(stdout: string): Summary {
  const last = JSON.parse(linesOf(stdout).at(-1) ?? '{}') as Summary;
  assert.equal(last.event, 'summary', 'the last line is the summary');
  return last;
}

/** Frames that led to a decision or to a reason why not. */
function accounted({ attempts, refusals, admissions, unjudged }: Summary): number {
  return attempts + refusals + admissions + Object.values(unjudged).reduce((sum, count) => sum + count, 0);
}

let sequence = 0;

/** A SYN of its own to the real or the fake MX, so many microseconds after 2023-11-14T22:13:20Z. */
function syn(afterUs: number, source: string, destination: string): SavefileRecord {
  return {
    seconds: 1_700_000_000 + Math.floor(afterUs / 1e6),
    fraction: afterUs % 1e6,
    bytes: concat(pflogHeader(), ipv4({ source, destination, payload: tcp({ sequence: ++sequence }) })),
  };
}

describe('mxallowd replay --json', { concurrency: true }, () => {
  const cases: readonly (readonly [string, readonly string[], Partial<Summary>])[] = [
    [
      '01-block-v4-syn.pcap',
      [
        '17:55:17.308216 attempt 203.0.113.7 > 192.168.1.3 new-entry',
        '17:55:17.382791 admission 203.0.113.7 > 192.168.1.4 whitelisted',
        '17:55:17.382823 refusal 198.51.100.23 > 192.168.1.4 not-whitelisted',
      ],
      {
        frames: 3,
        attempts: 1,
        refusals: 1,
        admissions: 1,
        entries: 1,
        unjudged: {},
        senders: { seen: 2, admitted: 1, refused: 1, nextTime: 0, directToFake: 0 },
        // 382791 - 308216 microseconds
        delay: { median: 0.074575, longest: 0.074575 },
        from: '2026-11-23T17:55:17.308216Z',
        to: '2026-11-23T17:55:17.382823Z',
      },
    ],
    [
      '02-block-v6-syn.pcap',
      [
        '17:55:19.106466 attempt 2001:db8::7 > 2001:dead:beef::2 new-entry',
        '17:55:19.178162 admission 2001:db8::7 > 2001:dead:beef::1 whitelisted',
        '17:55:19.178211 refusal 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff > 2001:dead:beef::1 not-whitelisted',
      ],
      { frames: 3, attempts: 1, refusals: 1, admissions: 1, entries: 1 },
    ],
    [
      '04-blocked-and-whitelisted-to-fake.pcap',
      [
        '17:55:22.780173 attempt 203.0.113.8 > 192.168.1.3 new-entry',
        '17:55:22.780448 attempt 2001:db8::8 > 2001:dead:beef::2 new-entry',
      ],
      {
        frames: 2,
        attempts: 2,
        entries: 2,
        expired: 0,
        senders: { seen: 2, admitted: 0, refused: 0, nextTime: 0, directToFake: 2 },
        delay: { median: null, longest: null },
      },
    ],
    [
      '05-ip-options.pcap',
      [
        '17:55:24.448555 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:24.448613 refusal 2001:db8::7 > 2001:dead:beef::1 not-whitelisted',
        '17:55:24.515294 unjudged 203.0.113.8 > 192.168.1.4 ip-options',
        '17:55:24.515360 unjudged 203.0.113.8 > 192.168.1.4 same-packet',
        '17:55:24.515399 unjudged 2001:db8::8 > 2001:dead:beef::1 ip-options',
      ],
      {
        frames: 5,
        attempts: 0,
        refusals: 2,
        admissions: 0,
        entries: 0,
        unjudged: { 'ip-options': 2, 'same-packet': 1 },
      },
    ],
    [
      '10-nonsyn-blocked.pcap',
      [
        '17:55:33.756519 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:33.756580 refusal 2001:db8::7 > 2001:dead:beef::1 not-whitelisted',
        '17:55:33.816041 unjudged 203.0.113.7 > 192.168.1.4 not-syn',
        '17:55:33.816087 unjudged 2001:db8::7 > 2001:dead:beef::1 not-syn',
        '17:55:33.876369 unjudged 203.0.113.7 > 192.168.1.4 not-syn',
        '17:55:33.876476 unjudged 2001:db8::7 > 2001:dead:beef::1 not-syn',
        '17:55:33.936439 unjudged 203.0.113.7 > 192.168.1.4 not-syn',
        '17:55:33.936489 unjudged 2001:db8::7 > 2001:dead:beef::1 not-syn',
        '17:55:33.995666 unjudged 203.0.113.7 > 192.168.1.4 not-syn',
        '17:55:33.995712 unjudged 2001:db8::7 > 2001:dead:beef::1 not-syn',
        '17:55:34.057931 unjudged 203.0.113.7 > 192.168.1.4 not-syn',
        '17:55:34.057992 unjudged 2001:db8::7 > 2001:dead:beef::1 not-syn',
        '17:55:34.146868 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:34.146912 refusal 2001:db8::7 > 2001:dead:beef::1 not-whitelisted',
        '17:55:34.227059 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:34.227124 refusal 2001:db8::7 > 2001:dead:beef::1 not-whitelisted',
        '17:55:34.295241 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:34.295286 refusal 2001:db8::7 > 2001:dead:beef::1 not-whitelisted',
      ],
      {
        frames: 18,
        refusals: 8,
        unjudged: { 'not-syn': 10 },
        senders: { seen: 2, admitted: 0, refused: 2, nextTime: 0, directToFake: 0 },
      },
    ],
    [
      '15-anchor.pcap',
      [
        '17:55:47.280689 admission 203.0.113.8 > 192.168.1.4 passed-by-pf',
        '17:55:47.280875 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
        '17:55:47.365626 attempt 203.0.113.7 > 192.168.1.3 new-entry',
        '17:55:47.365697 attempt 2001:db8::7 > 2001:dead:beef::2 new-entry',
      ],
      { frames: 4, attempts: 2, refusals: 1, admissions: 1, admissionsByPf: 1, entries: 2, unjudged: {} },
    ],
    [
      '16-snaplen-68.pcap',
      [
        '17:55:49.041134 unjudged truncated-ipv4',
        '17:55:49.041243 unjudged truncated-ipv6',
        '17:55:49.117409 unjudged truncated-ipv4',
        '17:55:49.117480 unjudged truncated-ipv6',
      ],
      { frames: 4, attempts: 0, unjudged: { 'truncated-ipv4': 2, 'truncated-ipv6': 2 } },
    ],
    [
      '20-out.pcap',
      [
        '17:56:01.178401 unjudged 192.168.1.4 > 192.168.1.1 not-inbound',
        '17:56:01.197436 unjudged not-tcp',
        '17:56:01.212202 unjudged 2001:dead:beef::1 > 2001:dead:beef::ffff not-inbound',
      ],
      { frames: 3, attempts: 0, refusals: 0, unjudged: { 'not-inbound': 2, 'not-tcp': 1 } },
    ],
  ];
  for (const [name, events, expected] of cases) {
    it(`says of ${name} what its notes say`, async () => {
      const { status, stdout, stderr } = await replay(['--json', recording(name)]);
      assert.deepEqual(eventsOf(stdout), events);
      const summary = summaryOf(stdout);
      for (const [key, value] of Object.entries(expected)) {
        assert.deepEqual(summary[key as keyof Summary], value, key);
      }
      assert.deepEqual([status, stderr], [0, '']);
    });
  }

  it('makes 20,000 attempts and as many entries of the burst', async () => {
    const { status, stdout, stderr } = await replay(['--json', recording('30-burst-20000-rate4000.pcap.gz')]);
    const events = eventsOf(stdout);
    assert.equal(events.length, 20_000);
    assert.equal(events[0], '17:56:43.509983 attempt 203.0.0.1 > 192.168.1.3 new-entry');
    // 20,000 = 78 * 256 + 32
    assert.match(events[19_999] ?? '', / attempt 203\.0\.78\.32 > 192\.168\.1\.3 new-entry$/);
    assert.ok(events.every((event) => event.endsWith(' > 192.168.1.3 new-entry')));
    const { frames, attempts, entries, entriesAdded, evicted, senders } = summaryOf(stdout);
    assert.deepEqual(
      { frames, attempts, entries, entriesAdded, evicted, senders },
      {
        frames: 20_000,
        attempts: 20_000,
        entries: 20_000,
        entriesAdded: 20_000,
        evicted: 0,
        senders: { seen: 20_000, admitted: 0, refused: 0, nextTime: 0, directToFake: 20_000 },
      },
    );
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('has a summary with everything in it, in this order', async () => {
    const { stdout } = await replay(['--json', '--summary', recording('01-block-v4-syn.pcap')]);
    assert.equal(linesOf(stdout).length, 1);
    assert.deepEqual(Object.keys(summaryOf(stdout)), [
      'event',
      'frames',
      'attempts',
      'refusals',
      'redirected',
      'admissions',
      'admissionsByPf',
      'entries',
      'entriesAdded',
      'named',
      'pooled',
      'outbound',
      'expired',
      'evicted',
      'senders',
      'keptOut',
      'keptOutCount',
      'letInByPf',
      'letInByPfCount',
      'delay',
      'unjudged',
      'from',
      'to',
    ]);
  });

  it('shows with --verbose what pf wrote', async () => {
    const { stdout } = await replay(['--json', '--verbose', recording('15-anchor.pcap')]);
    const third = JSON.parse(linesOf(stdout)[2] ?? '') as { pflog: object };
    assert.deepEqual(third.pflog, {
      length: 61,
      addressFamily: 2,
      action: 1,
      reason: 0,
      interfaceName: 'em0',
      ruleset: 'mx',
      ruleNumber: 1,
      subruleNumber: 1,
      uid: -1,
      pid: 100_000,
      ruleUid: 0,
      rulePid: 496,
      direction: 1,
    });
  });
});

describe('every frame of a recording', { concurrency: true }, () => {
  /** attempts, refusals, admissions, unjudged: from the notes beside the recordings */
  const EXPECTED: Readonly<Record<string, readonly [number, number, number, number]>> = {
    '01-block-v4-syn.pcap': [1, 1, 1, 0],
    '02-block-v6-syn.pcap': [1, 1, 1, 0],
    // whom pf let in had an entry before the recording begins
    '03-pass-v4-v6-syn.pcap': [0, 0, 5, 0],
    // the script repeated a SYN after 63 ms, sooner than any sender does
    '03b-pass-retransmission.pcap': [0, 2, 1, 1],
    '04-blocked-and-whitelisted-to-fake.pcap': [2, 0, 0, 0],
    '05-ip-options.pcap': [0, 2, 0, 3],
    '06-fragments.pcap': [0, 0, 0, 0],
    '06b-fragment-bypass.pcap': [0, 2, 0, 0],
    '09-udp-icmp.pcap': [0, 0, 0, 4],
    '10-nonsyn-blocked.pcap': [0, 8, 0, 10],
    '11-nonsyn-white.pcap': [0, 0, 0, 10],
    '13-log-connection.pcap': [0, 0, 2, 0],
    '14-log-user.pcap': [2, 0, 2, 0],
    '15-anchor.pcap': [2, 1, 1, 0],
    // of IPv6, 116 bytes end two bytes before the TCP flags or earlier
    '16-snaplen-116.pcap': [2, 0, 0, 2],
    '16-snaplen-65535.pcap': [4, 0, 0, 0],
    '16-snaplen-68.pcap': [0, 0, 0, 4],
    '17-default-snaplen.pcap': [2, 0, 0, 0],
    '18-filter-expression.pcap': [1, 0, 0, 0],
    '19-filter-pf-keywords.pcap': [0, 2, 0, 0],
    '20-out.pcap': [0, 0, 0, 3],
    '21-loopback.pcap': [0, 0, 0, 2],
    '23-rdr.pcap': [0, 1, 0, 1],
    '25-label-return.pcap': [2, 0, 0, 0],
    '27-second-pflog.pcap': [1, 0, 0, 0],
    '29-pflog0-down.pcap': [1, 0, 0, 0],
    '29b-pf-disabled.pcap': [1, 0, 0, 0],
    '30-burst-20000-rate4000.pcap.gz': [20_000, 0, 0, 0],
    '34-pflog0-destroyed.pcap': [1, 0, 0, 0],
  };
  // those of OpenBSD and FreeBSD 15 are judged in test/engine/judge.test.ts
  const names = PFLOG_RECORDINGS.filter((name) => name.startsWith('pflog/')).map((name) => name.slice(6));

  it('is known for every recording that there is', () => {
    assert.deepEqual(names, Object.keys(EXPECTED).sort());
  });

  for (const name of names) {
    it(`is an attempt, a refusal, an admission or is told to be none: ${name}`, async () => {
      const { stdout } = await replay(['--json', '--summary', recording(name)]);
      const summary = summaryOf(stdout);
      const { frames, attempts, refusals, admissions } = summary;
      assert.equal(accounted(summary), frames);
      assert.deepEqual(
        [attempts, refusals, admissions, frames - attempts - refusals - admissions],
        EXPECTED[name],
      );
    });
  }

  it('is counted once when all recordings are judged together', async () => {
    const counts = Object.values(EXPECTED);
    const [attempts, refusals, admissions, others] = ([0, 1, 2, 3] as const).map((column) =>
      counts.reduce((sum, row) => sum + row[column], 0),
    ) as [number, number, number, number];
    const { status, stdout, stderr } = await replay(['--json', '--summary', ...names.map(recording)]);
    const summary = summaryOf(stdout);
    assert.equal(summary.frames, attempts + refusals + admissions + others);
    assert.equal(accounted(summary), summary.frames);
    assert.equal(summary.attempts, attempts);
    // who was refused alone may be let in after another recording's attempt
    assert.equal(summary.refusals + summary.admissions, refusals + admissions);
    assert.ok(summary.admissions > admissions);
    // 20,000 of the burst (203.0.113.7 and .8 lie outside 203.0.0.1 to 203.0.78.32), those two, and 2001:db8::/64
    assert.equal(summary.entries, 20_003);
    assert.deepEqual(
      [summary.from, summary.to],
      ['2026-11-23T17:55:17.308216Z', '2026-11-23T18:04:14.919722Z'],
    );
    assert.deepEqual([status, stderr], [0, '']);
  });
});

describe('the time of a replay', { concurrency: true }, () => {
  it('is that of the recordings: an entry expires whitelist-time after its last attempt', async () => {
    const files = [recording('04-blocked-and-whitelisted-to-fake.pcap'), recording('01-block-v4-syn.pcap')];
    const { stdout } = await replay(['--json', '-t', '5', '--known-time', '0', ...files]);
    assert.deepEqual(eventsOf(stdout), [
      '17:55:17.308216 attempt 203.0.113.7 > 192.168.1.3 new-entry',
      '17:55:17.382791 admission 203.0.113.7 > 192.168.1.4 whitelisted',
      '17:55:17.382823 refusal 198.51.100.23 > 192.168.1.4 not-whitelisted',
      '17:55:22.308216 expiry 203.0.113.7 timeout',
      '17:55:22.780173 attempt 203.0.113.8 > 192.168.1.3 new-entry',
      '17:55:22.780448 attempt 2001:db8::8 > 2001:dead:beef::2 new-entry',
    ]);
    const expiry = JSON.parse(linesOf(stdout)[3] ?? '') as object;
    assert.deepEqual(expiry, {
      event: 'expiry',
      at: '2026-11-23T17:55:22.308216Z',
      source: '203.0.113.7',
      target: null,
      reason: 'timeout',
      attempts: 1,
      admissions: 1,
    });
    const { expired, entries, entriesAdded } = summaryOf(stdout);
    assert.deepEqual({ expired, entries, entriesAdded }, { expired: 1, entries: 2, entriesAdded: 3 });
  });

  it('orders files by their first frame, however they are named or given', async () => {
    const names = ['25-label-return.pcap', '02-block-v6-syn.pcap', '01-block-v4-syn.pcap'];
    const files = names.map((name, index) => {
      const copy = scratch.path(`pflog.${index}`);
      copyFileSync(recording(name), copy);
      return copy;
    });
    const { stdout } = await replay(['--json', ...files]);
    const times = eventsOf(stdout).map((event) => event.split(' ')[0] ?? '');
    assert.equal(times.length, 8);
    assert.deepEqual(times, [...times].sort());
  });

  it('turns an admission into a refusal when the entry has expired', async () => {
    const file = scratch.file(
      'expired.pcap',
      pcapFile([
        syn(0, '203.0.113.7', FAKE),
        syn(3_000_000, '203.0.113.7', FAKE),
        syn(7_999_999, '203.0.113.7', REAL),
        syn(8_000_000, '203.0.113.7', REAL),
      ]),
    );
    const { stdout } = await replay(['--json', '-t', '5', '--known-time', '0', file]);
    assert.deepEqual(eventsOf(stdout), [
      '22:13:20.000000 attempt 203.0.113.7 > 192.168.1.3 new-entry',
      '22:13:23.000000 attempt 203.0.113.7 > 192.168.1.3 renewed',
      '22:13:27.999999 admission 203.0.113.7 > 192.168.1.4 whitelisted',
      '22:13:28.000000 expiry 203.0.113.7 timeout',
      '22:13:28.000000 refusal 203.0.113.7 > 192.168.1.4 not-whitelisted',
    ]);
    assert.equal(summaryOf(stdout).entries, 0);
  });

  it('gives the delay from the first attempt to the first admission', async () => {
    const file = scratch.file(
      'delays.pcap',
      pcapFile([
        syn(0, '10.0.0.1', FAKE),
        syn(1_000_000, '10.0.0.2', FAKE),
        syn(1_500_000, '10.0.0.1', REAL), // 1.5 s
        syn(2_000_000, '10.0.0.3', FAKE),
        syn(3_000_000, '10.0.0.4', FAKE), // never comes
        syn(3_250_000, '10.0.0.2', REAL), // 2.25 s
        syn(4_000_000, '10.0.0.5', FAKE),
        syn(4_000_250, '10.0.0.5', REAL), // 0.00025 s
        syn(5_000_000, '10.0.0.3', FAKE), // renewed: the first attempt counts
        syn(12_000_000, '10.0.0.3', REAL), // 10 s
        syn(20_000_000, '10.0.0.5', REAL), // not the first admission
        syn(21_000_000, '10.0.0.6', REAL), // refused
      ]),
    );
    const { stdout } = await replay(['--json', '--summary', file]);
    const { delay, senders, entries } = summaryOf(stdout);
    // 0.00025, 1.5, 2.25, 10: the median lies between the two in the middle
    assert.deepEqual(delay, { median: 1.875, longest: 10 });
    assert.deepEqual(senders, { seen: 6, admitted: 4, refused: 1, nextTime: 0, directToFake: 1 });
    assert.equal(entries, 5);
  });

  it('counts as direct to fake who never came, expired, given up or still there', async () => {
    const file = scratch.file(
      'direct.pcap',
      pcapFile([
        syn(0, '10.0.0.1', FAKE),
        syn(10_000_000, '10.0.0.2', FAKE),
        syn(10_000_001, '10.0.0.3', FAKE),
        syn(10_000_002, '10.0.0.4', FAKE),
        syn(10_000_003, '10.0.0.4', REAL),
      ]),
    );
    const { stdout } = await replay(['--json', '-t', '5', '--known-time', '0', '--max-entries', '2', file]);
    assert.deepEqual(
      eventsOf(stdout).filter((event) => /expiry|eviction/.test(event)),
      ['22:13:25.000000 expiry 10.0.0.1 timeout', '22:13:30.000002 eviction 10.0.0.2 no-room'],
    );
    const { entries, expired, evicted, senders } = summaryOf(stdout);
    assert.deepEqual([entries, expired, evicted], [2, 1, 1]);
    assert.deepEqual(senders, { seen: 4, admitted: 1, refused: 0, nextTime: 0, directToFake: 3 });
  });
});

describe('a recording of a wire', { concurrency: true }, () => {
  const servers = ['-f', '192.0.2.3', '-f', '2001:db8::3', '-r', '192.0.2.4', '-r', '2001:db8::4'];
  /** what of each is counted and not judged: acknowledgements and data that come in, and all that goes out */
  const unjudged: Readonly<Record<string, object>> = {
    'ethernet.pcap': { 'not-syn': 27, 'other-port': 29 },
    'sll.pcap': { 'not-inbound': 29, 'not-syn': 27 },
    'sll2.pcap': { 'not-inbound': 29, 'not-syn': 27 },
    'nflog.pcap': { 'not-syn': 27 },
    'raw.pcap': { 'other-port': 7 },
  };

  for (const [name, expected] of Object.entries(unjudged)) {
    it(`is judged by the whitelist: ${name}`, async () => {
      const { status, stdout, stderr } = await runCli([
        'replay',
        '--json',
        ...servers,
        fixturePath(`wire/${name}`),
      ]);
      assert.deepEqual([status, stderr], [0, '']);
      const events = eventsOf(stdout)
        .map((event) => event.slice(event.indexOf(' ') + 1))
        .filter((event) => !event.startsWith('unjudged'));
      assert.deepEqual(events, [
        'attempt 198.51.100.25 > 192.0.2.3 new-entry',
        'admission 198.51.100.25 > 192.0.2.4 whitelisted',
        'refusal 203.0.113.9 > 192.0.2.4 not-whitelisted',
        'attempt 2001:db8:1000::25 > 2001:db8::3 new-entry',
        'admission 2001:db8:1000::25 > 2001:db8::4 whitelisted',
      ]);
      assert.deepEqual(summaryOf(stdout).unjudged, expected);
    });
  }

  it('tells who would be led elsewhere, on whatever system that is asked', async () => {
    for (const strangers of ['redirect 10025', 'mark 7']) {
      const wire = fixturePath('wire/ethernet.pcap');
      const { status, stdout, stderr } = await runCli([
        ...['replay', '--json', ...servers, '--strangers', strangers, wire],
      ]);
      assert.deepEqual([status, stderr], [0, '']);
      const { refusals, redirected, admissions } = summaryOf(stdout);
      assert.deepEqual([refusals, redirected, admissions], [0, 1, 2]);
      assert.ok(eventsOf(stdout).some((event) => / redirected 203\.0\.113\.9 > 192\.0\.2\.4 /.test(event)));
    }
  });
});

describe('who was refused', { concurrency: true }, () => {
  it('and has become an entry since is not kept out: its next SYN would have been let in', async () => {
    const file = scratch.file(
      'since.pcap',
      pcapFile([
        syn(0, '10.0.0.1', REAL),
        syn(1, '10.0.0.1', FAKE),
        syn(2, '10.0.0.2', FAKE),
        // its entry has expired when it comes, and nothing has let it in since
        syn(8_000_000, '10.0.0.2', REAL),
        syn(8_000_001, '10.0.0.3', REAL),
      ]),
    );
    const { stdout } = await replay(['--json', '--summary', '-t', '5', file]);
    const { senders, keptOut } = summaryOf(stdout) as unknown as { senders: object; keptOut: object[] };
    assert.deepEqual(senders, { seen: 3, admitted: 0, refused: 3, nextTime: 1, directToFake: 2 });
    assert.deepEqual(keptOut, [
      { address: '10.0.0.2', refusals: 1 },
      { address: '10.0.0.3', refusals: 1 },
    ]);
    const people = await replay(['--summary', '-t', '5', file]);
    assert.match(people.stdout, /^ {2}let in since {12}1 \(refused, then by their next SYN\)$/m);
  });
});

describe('options of mxallowd replay', { concurrency: true }, () => {
  it('--allow admits a stranger, and makes no entry of an attempt', async () => {
    const [network, address] = await Promise.all(
      ['198.51.100.0/24', '203.0.113.7'].map((allow) =>
        replay(['--json', '--allow', allow, recording('01-block-v4-syn.pcap')]),
      ),
    );
    assert.deepEqual(eventsOf(network?.stdout ?? ''), [
      '17:55:17.308216 attempt 203.0.113.7 > 192.168.1.3 new-entry',
      '17:55:17.382791 admission 203.0.113.7 > 192.168.1.4 whitelisted',
      '17:55:17.382823 admission 198.51.100.23 > 192.168.1.4 always-allowed',
    ]);
    assert.deepEqual(eventsOf(address?.stdout ?? ''), [
      '17:55:17.308216 attempt 203.0.113.7 > 192.168.1.3 always-allowed',
      '17:55:17.382791 admission 203.0.113.7 > 192.168.1.4 always-allowed',
      '17:55:17.382823 refusal 198.51.100.23 > 192.168.1.4 not-whitelisted',
    ]);
    assert.equal(summaryOf(address?.stdout ?? '').entries, 0);
  });

  it('--outbound lets in those to whom the mail servers connect', async () => {
    const out = (afterUs: number, source: string, destination: string, action = 0): SavefileRecord => ({
      ...syn(afterUs, source, destination),
      bytes: concat(
        pflogHeader({ action, direction: 2 }),
        ipv4({ source, destination, payload: tcp({ sequence: ++sequence }) }),
      ),
    });
    const file = scratch.file(
      'out.pcap',
      pcapFile([
        out(0, REAL, '203.0.113.25'),
        out(1, REAL, '203.0.113.26', 1),
        syn(2, '203.0.113.25', REAL),
        syn(3, '203.0.113.26', REAL),
      ]),
    );
    const { stdout } = await replay(['--json', '--outbound', file]);
    assert.deepEqual(eventsOf(stdout), [
      '22:13:20.000000 outbound 192.168.1.4 > 203.0.113.25 new-entry',
      '22:13:20.000001 unjudged 192.168.1.4 > 203.0.113.26 not-inbound',
      '22:13:20.000002 admission 203.0.113.25 > 192.168.1.4 whitelisted',
      '22:13:20.000003 refusal 203.0.113.26 > 192.168.1.4 not-whitelisted',
    ]);
    const { outbound, senders } = summaryOf(stdout) as unknown as Record<string, unknown>;
    assert.equal(outbound, 1);
    assert.deepEqual(senders, { seen: 2, admitted: 1, refused: 1, nextTime: 0, directToFake: 0 });
    const people = await replay(['--outbound', file]);
    assert.match(people.stdout, /outbound {2}192\.168\.1\.4 > 203\.0\.113\.25: new entry/);
    assert.match(people.stdout, /^connections to others {5}1 \(outbound\)$/m);
  });

  it('--outbound is not misled by answers that go out, nor by what pf has blocked', async () => {
    const recorded = [
      'pflog/20-out.pcap',
      'openbsd/pflog/13-log-all.pcap',
      'freebsd15/pflog/66-log-all-connection.pcap',
    ];
    const { stdout } = await replay(['--json', '--outbound', '--summary', ...recorded.map(fixturePath)]);
    assert.equal((summaryOf(stdout) as unknown as { outbound: number }).outbound, 0);
  });

  it('--port judges another port', async () => {
    const { stdout } = await replay(['--json', '--port', '2525', recording('23-rdr.pcap')]);
    assert.deepEqual(eventsOf(stdout), [
      '17:56:08.298039 attempt 203.0.113.7 > 192.168.1.3 new-entry',
      '17:56:08.298099 unjudged 203.0.113.8 > 192.168.1.4 other-port',
    ]);
  });

  it('--strangers tells who was led elsewhere, by the port, and does not take him for let in', async () => {
    const rdr = fixturePath('openbsd/pflog/35-strangers-rdr-to.pcap');
    const { status, stdout, stderr } = await replay(['--json', '--strangers', 'redirect 25', rdr]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(eventsOf(stdout), [
      // by entries of the table
      '19:58:01.529695 admission 192.168.1.1 > 192.168.1.4 passed-by-pf',
      '19:58:01.834618 attempt 203.0.113.7 > 192.168.1.3 new-entry',
      // pf led it on, for its table had nobody to fill it
      '19:58:01.836007 admission 203.0.113.7 > 192.168.1.4 whitelisted',
      '19:58:02.140139 redirected 2001:dead:beef::ff > 2001:dead:beef::1 not-whitelisted',
      '19:58:02.472566 admission 203.0.113.8 > 192.168.1.4 passed-by-pf',
    ]);
    const { refusals, redirected, admissions } = summaryOf(stdout);
    assert.deepEqual([refusals, redirected, admissions], [0, 1, 3]);
    const { stdout: text } = await replay(['--strangers', 'redirect 25', rdr]);
    const lines = linesOf(text);
    assert.match(lines[1] ?? '', /Z attempt {4}203/);
    assert.equal(
      lines[3],
      '2026-11-30T19:58:02.140139Z redirected 2001:dead:beef::ff > 2001:dead:beef::1: did not try the fake MX before',
    );
    assert.ok(lines.includes('redirected                1 at a real MX'));
  });

  it('--entries shows the table as it is at the end', async () => {
    const { stdout } = await replay(['--json', '--entries', recording('02-block-v6-syn.pcap')]);
    const { event, source } = JSON.parse(linesOf(stdout).at(-2) ?? '{}') as Event;
    assert.deepEqual([event, source], ['entry', '2001:db8::/64']);
  });
});

describe('what mxallowd replay prints for people', { concurrency: true }, () => {
  const FIRST = [
    '2026-11-23T17:55:17.308216Z attempt   203.0.113.7 > 192.168.1.3: new entry',
    '2026-11-23T17:55:17.382791Z admission 203.0.113.7 > 192.168.1.4: tried the fake MX before',
    '2026-11-23T17:55:17.382823Z refusal   198.51.100.23 > 192.168.1.4: did not try the fake MX before',
  ];
  const SUMMARY = [
    'period                    2026-11-23T17:55:17.308216Z to 2026-11-23T17:55:17.382823Z',
    'frames                    3',
    'attempts                  1 to a fake MX',
    'refusals                  1 to a real MX',
    'admissions                1 to a real MX',
    'senders seen              2',
    '  admitted                1',
    '  refused                 1',
    '  direct to fake          0 (never came to the real MX)',
    'entries                   1 made, 0 expired, 1 at the end',
    'attempt to admission      median 0.075 s, longest 0.075 s',
    'not judged                0',
    '',
    'REFUSED, NEVER ADMITTED                   REFUSALS',
    '198.51.100.23                                    1',
  ];

  it('is a line for each decision, and the summary behind an empty line, within 100 columns', async () => {
    const { stdout } = await replay([recording('01-block-v4-syn.pcap')]);
    assert.deepEqual(linesOf(stdout), [...FIRST, '', ...SUMMARY]);
    for (const line of linesOf(stdout)) assert.ok(line.length <= 100, line);
  });

  it('is the summary alone with --summary', async () => {
    const { stdout } = await replay(['--summary', recording('01-block-v4-syn.pcap')]);
    assert.deepEqual(linesOf(stdout), SUMMARY);
  });

  it('leaves out what is not judged, but counts it by its reason', async () => {
    const { stdout } = await replay([recording('16-snaplen-68.pcap')]);
    const lines = linesOf(stdout);
    assert.deepEqual(lines.slice(0, 2), [
      '',
      'period                    2026-11-23T17:55:49.041134Z to 2026-11-23T17:55:49.117480Z',
    ]);
    assert.deepEqual(lines.slice(-4), [
      'attempt to admission      none came',
      'not judged                4',
      '  truncated-ipv4          2',
      '  truncated-ipv6          2',
    ]);
  });

  it('is every frame, with what pf wrote, with --verbose', async () => {
    const files = ['05-ip-options.pcap', '15-anchor.pcap', '16-snaplen-68.pcap', '20-out.pcap'].map(
      recording,
    );
    const { stdout } = await replay(['-v', ...files]);
    const lines = linesOf(stdout);
    for (const line of [
      '2026-11-23T17:55:24.515360Z unjudged  203.0.113.8 > 192.168.1.4: same-packet (rule 0 reason 8: pass in on em0)',
      '2026-11-23T17:55:47.365626Z attempt   203.0.113.7 > 192.168.1.3: new entry (rule 1.mx.1 match: block in on em0)',
      '2026-11-23T17:55:49.041134Z unjudged  truncated-ipv4 (rule 2 match: block in on em0, 68 of 124 bytes)',
      '2026-11-23T17:56:01.197436Z unjudged  not-tcp (rule 1 match: pass out on em0)',
    ]) {
      assert.ok(lines.includes(line), line);
    }
    assert.equal(lines.indexOf(''), 5 + 4 + 4 + 3);
  });

  it('tells how an entry ended', async () => {
    const file = scratch.file(
      'ends.pcap',
      pcapFile([
        syn(0, '10.0.0.1', FAKE),
        syn(1, '10.0.0.2', FAKE),
        syn(2, '10.0.0.3', FAKE),
        syn(3, '10.0.0.2', REAL),
        syn(4, '10.0.0.3', REAL),
        syn(5, '10.0.0.3', REAL),
        syn(6_000_000, '10.0.0.4', REAL),
      ]),
    );
    const { stdout } = await replay(['-t', '5', '--known-time', '0', file]);
    assert.deepEqual(linesOf(stdout).slice(6, 9), [
      '2023-11-14T22:13:25.000000Z expiry    10.0.0.1: time over, never used',
      '2023-11-14T22:13:25.000001Z expiry    10.0.0.2: time over, 1 admission',
      '2023-11-14T22:13:25.000002Z expiry    10.0.0.3: time over, 2 admissions',
    ]);
  });
});

describe('what mxallowd replay reads', { concurrency: true }, () => {
  const good = recording('01-block-v4-syn.pcap');

  it('may be missing: status 66, and the other files are judged', async () => {
    const missing = scratch.path('missing.pcap');
    const { status, stdout, stderr } = await replay(['--json', missing, good]);
    assert.match(stderr, /^mxallowd: \S+missing\.pcap: there is no such file\n$/);
    assert.equal(eventsOf(stdout).length, 3);
    assert.equal(summaryOf(stdout).frames, 3);
    assert.equal(status, 66);
  });

  it('may be no savefile: status 65, and the other files are judged', async () => {
    const notes = recording('01-block-v4-syn.txt');
    const { status, stdout, stderr } = await replay(['--json', notes, good]);
    // "# 01"
    assert.equal(stderr, `mxallowd: ${notes}: begins with 23203031, not a pcap or pcapng savefile\n`);
    assert.equal(summaryOf(stdout).frames, 3);
    assert.equal(status, 65);
  });

  it('may be empty: status 65', async () => {
    const empty = scratch.file('empty.pcap', '');
    const { status, stdout, stderr } = await replay(['--json', empty]);
    assert.equal(stderr, `mxallowd: ${empty}: empty, not a savefile\n`);
    const { frames, from, to } = summaryOf(stdout);
    assert.deepEqual({ frames, from, to }, { frames: 0, from: null, to: null });
    assert.equal(status, 65);
  });

  it('may be a recording of the wire and not of pflog', async () => {
    const { status, stdout, stderr } = await replay(['--json', fixturePath(ETHERNET_RECORDING)]);
    assert.deepEqual([status, stderr], [0, '']);
    const judged = eventsOf(stdout).filter((event) => !event.includes('unjudged'));
    assert.deepEqual(judged, [
      '18:04:03.581157 refusal 203.0.113.66 > 192.168.1.4 not-whitelisted',
      '18:04:03.581265 refusal 2001:db8::66 > 2001:dead:beef::1 not-whitelisted',
      '18:04:03.647117 refusal 203.0.113.66 > 192.168.1.4 not-whitelisted',
      '18:04:03.647202 refusal 2001:db8::66 > 2001:dead:beef::1 not-whitelisted',
    ]);
    const verbose = await replay(['-v', fixturePath(ETHERNET_RECORDING)]);
    assert.match(
      verbose.stdout,
      /203\.0\.113\.66 > 192\.168\.1\.4: did not try the fake MX before \(ETHERNET, /,
    );
  });

  it('may have a link type that nobody can read: status 65, and those that can be read', async () => {
    const file = scratch.file('wlan.pcap', pcapFile([syn(0, '203.0.113.7', FAKE)], { linkType: 105 }));
    const { status, stderr } = await replay(['--json', file]);
    const expected = '117 PFLOG, 1 ETHERNET, 113 LINUX_SLL, 276 LINUX_SLL2, 101 RAW or 239 NFLOG';
    assert.equal(stderr, `mxallowd: ${file}: link type 105 IEEE802_11, expected ${expected}\n`);
    assert.equal(status, 65);
  });

  it('may be a folder: a message, no stack trace', async () => {
    const { status, stderr } = await replay(['--json', scratch.folder, good]);
    assert.match(stderr, /^mxallowd: \S+: it is a folder, not a file\n$/);
    assert.equal(status, 66);
  });

  it('may be cut off in the middle of a record: a warning, and the rest is used', async () => {
    // 24 bytes of file header, 16 + 124 of the first record, 36 of the second
    const cut = scratch.file('cut.pcap', readFileSync(good).subarray(0, 200));
    const { status, stdout, stderr } = await replay(['--json', cut]);
    assert.equal(
      stderr,
      `mxallowd: ${cut}: the last record is cut off (36 bytes of it are there); the rest was used\n`,
    );
    assert.deepEqual(eventsOf(stdout), ['17:55:17.308216 attempt 203.0.113.7 > 192.168.1.3 new-entry']);
    assert.equal(status, 0);
  });

  it('may be a gzip file that is cut off: a message, and what came before is used', async () => {
    const burst = readFileSync(recording('30-burst-20000-rate4000.pcap.gz'));
    const cut = scratch.file('cut.pcap.gz', burst.subarray(0, 100_000));
    const { status, stdout, stderr } = await replay(['--json', '--summary', cut]);
    assert.equal(stderr, `mxallowd: ${cut}: gzip: unexpected end of file; what came before was used\n`);
    const summary = summaryOf(stdout);
    assert.ok(summary.frames > 1000 && summary.frames < 20_000, `${summary.frames} frames`);
    assert.equal(accounted(summary), summary.frames);
    assert.ok(status === 65 || status === 66);
  });

  it('may be standard input, alone or beside files', async () => {
    const alone = await replay(['--json', '-'], good);
    assert.equal(eventsOf(alone.stdout).length, 3);
    assert.deepEqual([alone.status, alone.stderr], [0, '']);
    const beside = await replay(['--json', '-', recording('02-block-v6-syn.pcap')], good);
    assert.equal(summaryOf(beside.stdout).frames, 6);
    assert.equal(beside.status, 0);
  });

  it('may have a name that begins with a dash, behind "--"', async () => {
    const { status, stderr } = await replay(['--json', '--', '-x.pcap']);
    assert.match(stderr, /^mxallowd: -x\.pcap: there is no such file/);
    assert.equal(status, 66);
  });

  it('may be FIFOs, which can be read only once', async () => {
    const script =
      'mkfifo "$1/a" "$1/b" && { cat "$2" >"$1/a" & cat "$3" >"$1/b" & exec "$4" "$5" replay -c "$6" --json "$1/a" "$1/b"; }';
    const { status, stdout, stderr } = await runProgram('/bin/sh', [
      '-c',
      script,
      'sh',
      scratch.folder,
      good,
      recording('02-block-v6-syn.pcap'),
      process.execPath,
      CLI,
      CONFIG,
    ]);
    assert.equal(summaryOf(stdout).frames, 6);
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('may be more than the reader of the output wants: no message, no stack trace', async () => {
    const script = '"$1" "$2" replay -c "$3" --json "$4" | head -n 1';
    const burst = recording('30-burst-20000-rate4000.pcap.gz');
    const { status, stdout, stderr } = await runProgram('/bin/sh', [
      '-c',
      script,
      'sh',
      process.execPath,
      CLI,
      CONFIG,
      burst,
    ]);
    assert.deepEqual(linesOf(stdout).length, 1);
    assert.match(stdout, /^\{"event":"attempt","at":"2026-11-23T17:56:43\.509983Z","source":"203\.0\.0\.1"/);
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });

  it('may overlap: the clock does not go back', async () => {
    const one = scratch.file(
      'one.pcap',
      pcapFile([syn(0, '10.0.0.1', FAKE), syn(9_000_000, '10.0.0.2', FAKE)]),
    );
    const two = scratch.file(
      'two.pcap',
      pcapFile([
        syn(4_000_000, '10.0.0.1', REAL),
        syn(4_000_000, '10.0.0.3', FAKE),
        syn(13_999_999, '10.0.0.3', REAL),
        syn(14_000_000, '10.0.0.3', REAL),
      ]),
    );
    const { stdout } = await replay(['--json', '-t', '5', '--known-time', '0', two, one]);
    const events = eventsOf(stdout).map((event) => event.split(' ').slice(1, 3).join(' '));
    assert.deepEqual(events, [
      'attempt 10.0.0.1',
      'expiry 10.0.0.1',
      'attempt 10.0.0.2',
      // logged at 4 s, but 9 s had passed: the entry is gone, and the new one lives until 14 s
      'refusal 10.0.0.1',
      'attempt 10.0.0.3',
      'admission 10.0.0.3',
      'expiry 10.0.0.2',
      'expiry 10.0.0.3',
      'refusal 10.0.0.3',
    ]);
  });
});
