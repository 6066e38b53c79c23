/** What OpenBSD 7.8 and FreeBSD 15.1 wrote, judged as it comes: the counters say what was sent, each SYN once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Judge } from '../../src/engine/judge.js';
import type { TrackerConfig } from '../../src/tracker/tracker.js';
import { address, prefix } from '../support/observations.js';
import { framesOf, PFLOG_RECORDINGS, readNotes, sectionOf } from '../support/recordings.js';

const FAKE = ['192.168.1.3', '2001:dead:beef::2'];
const REAL = ['192.168.1.4', '2001:dead:beef::1'];
const CONFIG: TrackerConfig = {
  fake: FAKE.map(address),
  real: REAL.map(address),
  allow: [],
  port: 25,
  whitelistTimeMs: 3_600_000,
  knownTimeMs: 0,
  outbound: false,
  ipv4Prefix: 32,
  ipv6Prefix: 64,
  maxEntries: 100_000,
  authority: 'pf',
};

/** Counted: attempts, refusals, admissions, and what else was made of frames. */
interface Counted {
  readonly attempts: number;
  readonly refusals: number;
  readonly admissions: number;
  readonly unjudged: Readonly<Record<string, number>>;
}

/** The addresses that were put into the table before anything was sent. */
function tableOf(notes: string): string[] {
  const added = [...notes.matchAll(/^guest: pfctl .* -T add (.*?) ->/gm)].map(([, words = '']) =>
    words.split(' '),
  );
  return added.flat();
}

/** Judges a recording as a daemon would whose table is what pf's was. */
function judged(name: string, change: Partial<TrackerConfig> = {}): Counted & { redirected: number } {
  const judge = new Judge(
    { ...CONFIG, ...change },
    { added: () => undefined, removed: () => undefined },
    [1, 2],
  );
  for (const text of tableOf(readNotes(name))) {
    judge.tracker.adopt(prefix(text), 'adopted', 3_600_000, 0);
  }
  for (const frame of framesOf(name)) judge.judge(frame, frame.timeMs);
  const { attempts, refusals, redirected, admissions } = judge.tracker.counters;
  return { attempts, refusals, redirected, admissions, unjudged: Object.fromEntries(judge.unjudged) };
}

/** The SYNs that were sent, one a line, by whom they were for. */
function sent(notes: string): Counts {
  const counted = { attempts: 0, refusals: 0, admissions: 0 };
  const known = tableOf(notes);
  for (const line of sectionOf(notes, '## sent:')) {
    const [, from = '', to = ''] = /^(?:syn|ipopt) (\S+) > (\S+)/.exec(line) ?? [];
    if (FAKE.includes(to)) counted.attempts++;
    else if (REAL.includes(to)) counted[isKnown(from, known) ? 'admissions' : 'refusals']++;
  }
  return [counted.attempts, counted.refusals, counted.admissions];
}

function isKnown(source: string, known: readonly string[]): boolean {
  return known.some((text) => {
    const network = /^(2001:db8:|203\.0\.113\.)(?::\/64|0\/24)$/.exec(text)?.[1];
    return text === source || (network !== undefined && source.startsWith(network));
  });
}

type Counts = readonly [attempts: number, refusals: number, admissions: number];

/** Where the log does not have what was sent line by line, or pf did something else than its rules say. */
const EXCEPTIONS: Readonly<Record<string, Counts>> = {
  // four whitelisted SYNs have IP options: logged as passed, and dropped
  'openbsd/pflog/05-ip-options.pcap': [8, 4, 0],
  'freebsd15/pflog/54-ipopt.pcap': [1, 1, 0],
  // one connection; two of them
  'openbsd/pflog/13-log-all.pcap': [0, 0, 1],
  'openbsd/pflog/13b-log-connection.pcap': [0, 0, 1],
  'freebsd15/pflog/66-log-all-connection.pcap': [0, 0, 2],
  // the fourth has an extension header, and not with every snapshot length flags behind it
  'openbsd/pflog/16-snaplen-162.pcap': [4, 0, 0],
  'openbsd/pflog/16-snaplen-65535.pcap': [4, 0, 0],
  // 116 and 124 bytes are too few for IPv6
  'freebsd15/pflog/71-snaplen-116.pcap': [1, 1, 0],
  'freebsd15/pflog/72-snaplen-124.pcap': [1, 1, 0],
  // fragments, and what a filter left
  'openbsd/pflog/18-filtera.pcap': [4, 1, 0],
  'openbsd/pflog/18-filterb.pcap': [4, 1, 0],
  'openbsd/pflog/18-filterc.pcap': [3, 1, 0],
  'openbsd/pflog/18-filtere.pcap': [4, 1, 0],
  'openbsd/pflog/18-filterf.pcap': [3, 1, 0],
  'openbsd/pflog/18-filterg.pcap': [2, 1, 0],
  'openbsd/pflog/19-filter-pfd.pcap': [1, 0, 0],
  'openbsd/pflog/19-filter-pfe.pcap': [0, 0, 1],
  'openbsd/pflog/19-filter-pff.pcap': [0, 0, 0],
  'openbsd/pflog/19-filter-pfj.pcap': [0, 0, 0],
  'freebsd15/pflog/56-fragments-scrub.pcap': [0, 2, 0],
  'freebsd15/pflog/57-fragments-noscrub.pcap': [0, 1, 0],
  'freebsd15/pflog/58-fragments-set-reassemble.pcap': [0, 2, 0],
  'freebsd15/pflog/59-fragments-blocklog-all.pcap': [0, 2, 0],
  // nothing is logged to this interface, to none that is down, and by a rule without log
  'openbsd/pflog/27-pflog1b.pcap': [0, 0, 0],
  'openbsd/pflog/34-pflog0-destroyed.pcap': [1, 0, 0],
  // the stranger's SYN is redirected, and that is what "rdr pass" calls passing
  'freebsd15/pflog/63-rdr-pass.pcap': [2, 1, 1],
  // of IPv4 only; redirected to another port
  'freebsd15/pflog/64-rdr-to.pcap': [1, 0, 0],
  // two whitelisted, two strangers redirected
  'openbsd/pflog/35-strangers-rdr-to.pcap': [1, 0, 4],
  // who cannot have sent it does not count
  'openbsd/pflog/33-martians.pcap': [4, 1, 0],
  'openbsd/pflog/30-burst-20000-rate4000.pcap.gz': [20_000, 0, 0],
  'freebsd15/pflog/80-burst-5000-rate4000.pcap.gz': [5000, 0, 0],
};

const NAMES = PFLOG_RECORDINGS.filter((name) => !name.startsWith('pflog/'));

describe('a recording of OpenBSD 7.8 or FreeBSD 15.1', () => {
  for (const name of NAMES) {
    it(`counts what was sent: ${name}`, () => {
      const { attempts, refusals, admissions, unjudged } = judged(name);
      const expected = EXCEPTIONS[name] ?? sent(readNotes(name));
      assert.deepEqual([attempts, refusals, admissions], expected);
      const others = Object.values(unjudged).reduce((sum, count) => sum + count, 0);
      assert.equal(attempts + refusals + admissions + others, framesOf(name).length);
    });
  }

  it('tells strangers who were redirected, where the configuration says that they are', () => {
    const counts = (name: string, port: number): number[] => {
      const { attempts, refusals, redirected, admissions } = judged(name, { redirect: { port } });
      return [attempts, refusals, redirected, admissions];
    };
    // two were in the table and let in, two strangers went to 127.0.0.1 and ::1, port 25
    assert.deepEqual(counts('openbsd/pflog/35-strangers-rdr-to.pcap', 25), [1, 0, 2, 2]);
    // to port 2525 those in the table are led, as to a real MX of another port
    assert.deepEqual(counts('openbsd/pflog/23-rdr-to.pcap', 2525), [1, 1, 2, 0]);
    assert.deepEqual(counts('openbsd/pflog/23-rdr-to.pcap', 10_025), [1, 1, 0, 2]);
    // FreeBSD has the new port only; of "rdr pass" there are two records
    assert.deepEqual(counts('freebsd15/pflog/64-rdr-to.pcap', 8025), [1, 0, 1, 0]);
    assert.deepEqual(counts('freebsd15/pflog/63-rdr-pass.pcap', 8025), [2, 1, 1, 0]);
  });

  it('is known, where it is an exception', () => {
    assert.deepEqual(
      Object.keys(EXCEPTIONS).filter((name) => !NAMES.includes(name)),
      [],
    );
  });

  it('says why what it has more than once is not judged', () => {
    const reasons = (name: string): Readonly<Record<string, number>> => judged(name).unjudged;
    assert.deepEqual(reasons('openbsd/pflog/05-ip-options.pcap'), { 'ip-options': 4, 'same-packet': 4 });
    // hop-by-hop and destination options are logged twice, a routing header of type 0 once
    assert.deepEqual(reasons('openbsd/pflog/07b-v6-extension-headers-white.pcap'), {
      'ip-options': 3,
      'same-packet': 2,
    });
    // for each SYN the match rule, the rules that matched, and the last of them again
    assert.deepEqual(reasons('openbsd/pflog/28b-match-log-matches.pcap'), {
      'not-a-verdict': 3,
      'same-packet': 7,
    });
    assert.deepEqual(reasons('openbsd/pflog/32-state-limit.pcap'), {});
    assert.deepEqual(reasons('freebsd15/pflog/54-ipopt.pcap'), { 'ip-options': 1, 'same-packet': 1 });
    assert.deepEqual(reasons('freebsd15/pflog/63-rdr-pass.pcap'), { 'same-packet': 1 });
    assert.deepEqual(reasons('freebsd15/pflog/66-log-all-connection.pcap'), {
      'same-packet': 2,
      'not-inbound': 10,
      'not-syn': 10,
    });
  });
});
