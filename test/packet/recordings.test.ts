import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../src/packet/address.js';
import { type Frame, LinkType } from '../../src/packet/frame.js';
import { decode, TcpFlag } from '../../src/packet/observation.js';
import { Action, Direction, readPflogHeader } from '../../src/packet/pflog.js';
import { framesOf, PFLOG_RECORDINGS, readNotes, sectionOf } from '../support/recordings.js';

/** "1795456517.308216 caplen 124 len 124 | length 61 ... pad 000000 | 203.0.113.7 > 192.168.1.3 proto 6" */
const FIELDS = new RegExp(
  /^(?<seconds>\d+)\.(?<micros>\d{6}) caplen (?<caplen>\d+) len (?<len>\d+) \| /.source +
    /length (?<length>\d+) af (?<af>\d+) action (?<action>\d+)\((?<actionName>\w+)\) reason (?<reason>\d+)\(\S+\) /
      .source +
    /ifname '(?<ifname>.*)' ruleset '(?<ruleset>.*)' rulenr (?<rulenr>-?\d+) subrulenr (?<subrulenr>-?\d+) /
      .source +
    /uid (?<uid>-?\d+) pid (?<pid>-?\d+) rule_uid (?<ruleUid>-?\d+) rule_pid (?<rulePid>-?\d+) dir (?<dir>\d+) /
      .source +
    /pad \w* \| (?:(?<source>\S+) > (?<destination>\S+) (?:proto|nh) (?<protocol>\d+))?$/.source,
);

/** "17:55:17.308216 rule 2/0(match): block in on em0: 203.0.113.7.50292 > 192.168.1.3.25: Flags [S], seq ..." */
const DECODED =
  /^\d\d:\d\d:\d\d\.(?<micros>\d{6}) rule \S+\): (?<action>\w+) (?<direction>\w+) on (?<ifname>\w+): (?<packet>.*)$/;
/** "A.port > B.port: REST", "A > B: HBH port > port: REST" and "A > B: REST" */
const WITH_PORTS =
  /^(?<source>\S+)\.(?<sourcePort>\d+) > (?<destination>\S+)\.(?<destinationPort>\d+): (?<rest>.*)$/;
const WITH_EXTENSION =
  /^(?<source>\S+) > (?<destination>\S+): HBH (?<sourcePort>\d+) > (?<destinationPort>\d+): (?<rest>.*)$/;

const FLAG_LETTERS: Readonly<Record<string, number>> = {
  F: TcpFlag.FIN,
  S: TcpFlag.SYN,
  R: TcpFlag.RST,
  P: TcpFlag.PSH,
  '.': TcpFlag.ACK,
  U: TcpFlag.URG,
  E: TcpFlag.ECE,
  W: TcpFlag.CWR,
};

/** What tcpdump's words about a packet mean for us: `port > port flags`, or the reason that decode must give. */
function expectedOf(packet: string): string {
  if (packet === ' [|ip]') return 'truncated-ipv4';
  if (packet === ' [|ip6]') return 'truncated-ipv6';
  const groups = (WITH_PORTS.exec(packet) ?? WITH_EXTENSION.exec(packet))?.groups;
  if (groups === undefined) return 'not-tcp';
  if (groups['rest'] === ' [|tcp]') return 'truncated-tcp';
  const flags = /^Flags \[([A-Z.]+)\]/.exec(groups['rest'] ?? '')?.[1];
  if (flags === undefined) return 'not-tcp';
  const bits = [...flags].reduce((sum, letter) => sum + (FLAG_LETTERS[letter] ?? Number.NaN), 0);
  return `${groups['sourcePort']} > ${groups['destinationPort']} flags ${bits}`;
}

function saidBy(frame: Frame): string {
  const decoded = decode(frame);
  if (!decoded.ok) return decoded.reason;
  return `${decoded.sourcePort} > ${decoded.destinationPort} flags ${decoded.tcpFlags}`;
}

/** Compares one frame with its two lines of the text. */
function checkRecord(frame: Frame, fieldLine: string, decodedLine: string): void {
  const fields = FIELDS.exec(fieldLine)?.groups;
  const words = DECODED.exec(decodedLine)?.groups;
  assert.ok(fields !== undefined, `understood: ${fieldLine}`);
  assert.ok(words !== undefined, `understood: ${decodedLine}`);
  const number = (name: string): number => Number(fields[name]);

  assert.equal(fields['micros'], words['micros']);
  assert.equal(Math.round(frame.timeMs * 1000), number('seconds') * 1_000_000 + number('micros'));
  assert.equal(frame.captureLength, number('caplen'));
  assert.equal(frame.originalLength, number('len'));
  assert.equal(frame.linkType, LinkType.PFLOG);
  assert.deepEqual(readPflogHeader(frame), {
    length: number('length'),
    addressFamily: number('af'),
    action: number('action'),
    reason: number('reason'),
    interfaceName: fields['ifname'],
    ruleset: fields['ruleset'],
    ruleNumber: number('rulenr'),
    subruleNumber: number('subrulenr'),
    uid: number('uid'),
    pid: number('pid'),
    ruleUid: number('ruleUid'),
    rulePid: number('rulePid'),
    direction: number('dir'),
  });
  assert.equal(words['action'], number('action') === Action.DROP ? 'block' : 'pass');
  assert.equal(words['direction'], number('dir') === Direction.OUT ? 'out' : 'in');

  assert.equal(saidBy(frame), expectedOf(words['packet'] ?? ''), decodedLine);
  const decoded = decode(frame);
  if (!decoded.ok) return;
  assert.equal(formatAddress(decoded.source), fields['source']);
  assert.equal(formatAddress(decoded.destination), fields['destination']);
  assert.equal(decoded.family, number('af') === 2 ? 4 : 6);
  assert.equal(decoded.timeMs, frame.timeMs);
  assert.equal(decoded.action, number('action'));
  assert.equal(decoded.pfReason, number('reason'));
  assert.equal(decoded.direction, number('dir'));
  assert.equal(decoded.interfaceName, fields['ifname']);
  assert.equal(decoded.anchor, fields['ruleset']);
  assert.equal(decoded.ruleNumber, number('rulenr'));
  assert.equal(decoded.isSyn, /Flags \[S[EW]*\]/.test(words['packet'] ?? ''));
}

/** The number of records that a text states; a text that lists none of its records says what tcpdump captured. */
function statedRecords(notes: string): number {
  const stated = /^(\d+) records$/m.exec(notes) ?? /^(\d+) packets? captured$/m.exec(notes);
  assert.ok(stated !== null);
  return Number(stated[1]);
}

let framesSeen = 0;
let recordsChecked = 0;

for (const name of PFLOG_RECORDINGS) {
  test(`${name} says what the kernel and tcpdump said`, () => {
    const notes = readNotes(name);
    const frames = framesOf(name);
    const isFieldLine = (line: string): boolean => /^\d+\.\d{6} caplen /.test(line);
    const fieldLines = sectionOf(notes, '## struct pfloghdr fields:').filter(isFieldLine);
    const decodedLines = sectionOf(notes, '## decoded by the host tcpdump');
    assert.equal(frames.length, statedRecords(notes));
    if (!name.includes('30-burst') && !name.includes('34-pflog0-destroyed')) {
      assert.equal(fieldLines.length, frames.length);
      assert.equal(decodedLines.length, frames.length);
    }
    for (const [index, fieldLine] of fieldLines.entries()) {
      const frame = frames[index];
      assert.ok(frame !== undefined);
      checkRecord(frame, fieldLine, decodedLines[index] ?? '');
    }
    framesSeen += frames.length;
    recordsChecked += fieldLines.length;
  });
}

test('every record of every recording has been looked at', () => {
  const stated = PFLOG_RECORDINGS.map((name) => statedRecords(readNotes(name)));
  const sum = stated.reduce((total, count) => total + count, 0);
  // 95 are listed record by record, one is not, and of the burst's 20,000 the first 40 are
  assert.equal(sum, 95 + 1 + 20_000);
  assert.equal(framesSeen, sum);
  assert.equal(recordsChecked, 95 + 40);
});

test('the SYN before the attempt to destroy pflog0 is a blocked one from 203.0.113.7', () => {
  const [frame, ...others] = framesOf('pflog/34-pflog0-destroyed.pcap');
  assert.equal(others.length, 0);
  assert.ok(frame !== undefined);
  const decoded = decode(frame);
  assert.ok(decoded.ok);
  assert.equal(formatAddress(decoded.source), '203.0.113.7');
  assert.equal(formatAddress(decoded.destination), '192.168.1.3');
  assert.equal(decoded.sourcePort, 55773);
  assert.equal(decoded.destinationPort, 25);
  assert.equal(decoded.isSyn, true);
  assert.equal(decoded.action, Action.DROP);
  assert.equal(decoded.ruleNumber, 2);
  assert.equal(Math.round(frame.timeMs * 1000), 1795457054_919722);
});

test('20,000 SYNs at 4,000 a second are 20,000 sources, from 203.0.0.1 on', () => {
  const frames = framesOf('pflog/30-burst-20000-rate4000.pcap.gz');
  const sources = new Set<string>();
  let lastMs = 0;
  for (const frame of frames) {
    const decoded = decode(frame);
    assert.ok(decoded.ok && decoded.isSyn);
    assert.equal(formatAddress(decoded.destination), '192.168.1.3');
    assert.equal(decoded.destinationPort, 25);
    assert.equal(decoded.action, Action.DROP);
    assert.ok(frame.timeMs >= lastMs);
    lastMs = frame.timeMs;
    sources.add(formatAddress(decoded.source));
  }
  const expected = Array.from({ length: 20_000 }, (_, i) => {
    const bits = 203 * 2 ** 24 + 1 + i;
    return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
  });
  assert.deepEqual([...sources].sort(), expected.sort());
});

const SYNTHETIC = [
  { name: 'synthetic/synthetic-freebsd12.pcap.gz', length: 61, ipv6Family: 28, payloadOffset: 64 },
  { name: 'synthetic/synthetic-freebsd14.pcap.gz', length: 69, ipv6Family: 28, payloadOffset: 72 },
  { name: 'synthetic/synthetic-openbsd.pcap.gz', length: 100, ipv6Family: 24, payloadOffset: 100 },
];

for (const { name, length, ipv6Family, payloadOffset } of SYNTHETIC) {
  test(`${name} has 1,000 IPv4 and 1,000 IPv6 SYNs behind headers of ${length} bytes`, () => {
    const frames = framesOf(name);
    assert.equal(frames.length, 2000);
    for (const [index, frame] of frames.entries()) {
      const number = index >> 1;
      const isIpv4 = index % 2 === 0;
      const header = readPflogHeader(frame);
      assert.ok(typeof header !== 'string');
      assert.equal(header.length, length);
      assert.equal(header.addressFamily, isIpv4 ? 2 : ipv6Family);
      assert.equal(frame.captureLength, payloadOffset + (isIpv4 ? 40 : 60));
      const decoded = decode(frame);
      assert.ok(decoded.ok);
      assert.deepEqual(
        {
          source: formatAddress(decoded.source),
          destination: formatAddress(decoded.destination),
          ports: `${decoded.sourcePort} > ${decoded.destinationPort}`,
          micros: Math.round(decoded.timeMs * 1000),
          about: `${decoded.interfaceName} ${decoded.anchor} ${decoded.ruleNumber}`,
          pf: [decoded.action, decoded.pfReason, decoded.direction],
          flags: decoded.tcpFlags,
        },
        {
          source: isIpv4
            ? `192.0.2.${number % 256}`
            : number === 0
              ? '2001:db8::'
              : `2001:db8::${number.toString(16)}`,
          destination: isIpv4
            ? '198.51.100.1'
            : number === 0
              ? '2001:db8::'
              : `2001:db8::${number.toString(16)}`,
          ports: `${1024 + number} > 25`,
          micros: (1_700_000_000 + number) * 1_000_000 + number,
          about: 'em0  7',
          pf: [1, 0, 1],
          flags: TcpFlag.SYN,
        },
      );
    }
  });
}

test('the same SYNs behind the headers of three systems are the same observations', () => {
  const [freebsd12, freebsd14, openbsd] = SYNTHETIC.map(({ name }) => framesOf(name).map(decode));
  assert.deepEqual(freebsd14, freebsd12);
  assert.deepEqual(openbsd, freebsd12);
});
