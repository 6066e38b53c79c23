import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../src/packet/address.js';
import { type Frame, LinkType } from '../../src/packet/frame.js';
import { decode, TcpFlag } from '../../src/packet/observation.js';
import { Action, Direction, type PflogHeader, readPflogHeader } from '../../src/packet/pflog.js';
import {
  type NotedPacket,
  type NotedRecord,
  notedRecords,
  statedRecords,
} from '../support/recording-notes.js';
import { framesOf, PFLOG_RECORDINGS, readNotes } from '../support/recordings.js';

/** Ports and flags, or the reason why there are none. */
function saidBy(frame: Frame): string {
  const decoded = decode(frame);
  if (!decoded.ok) return decoded.reason;
  return `${decoded.sourcePort} > ${decoded.destinationPort} flags ${decoded.tcpFlags}`;
}

/** Those fields of `whole` that `part` has. */
function alike<T extends object>(whole: T, part: Partial<T>): Partial<T> {
  return Object.fromEntries(Object.keys(part).map((key) => [key, whole[key as keyof T]])) as Partial<T>;
}

/** Compares one frame with its lines of the text. */
function checkRecord(frame: Frame, noted: NotedRecord): void {
  assert.equal(Math.round(frame.timeMs * 1000), noted.micros);
  assert.equal(frame.captureLength, noted.captureLength);
  assert.equal(frame.originalLength, noted.originalLength);
  assert.equal(frame.linkType, LinkType.PFLOG);
  const header = readPflogHeader(frame);
  assert.ok(typeof header !== 'string');
  assert.deepEqual(alike(header, noted.header), noted.header);
  assert.equal(header.translation === undefined, noted.translation === undefined);
  if (noted.translation !== undefined && header.translation !== undefined)
    assert.deepEqual(alike(header.translation, noted.translation), noted.translation);
  if (noted.decoded !== undefined) checkWords(frame, header, noted.decoded);

  const decoded = decode(frame);
  if (!decoded.ok) return;
  assert.equal(formatAddress(decoded.source), noted.source);
  assert.equal(formatAddress(decoded.destination), noted.destination);
  assert.equal(decoded.family, header.addressFamily === 2 ? 4 : 6);
  assert.equal(decoded.timeMs, frame.timeMs);
  assert.equal(decoded.action, header.action);
  assert.equal(decoded.pfReason, header.reason);
  assert.equal(decoded.direction, header.direction);
  assert.equal(decoded.interfaceName, header.interfaceName);
  assert.equal(decoded.anchor, header.ruleset);
  assert.equal(decoded.ruleNumber, header.ruleNumber);
}

/** Compares one frame with what tcpdump said of it. */
function checkWords(frame: Frame, header: PflogHeader, words: NotedPacket): void {
  assert.equal(Math.round(frame.timeMs * 1000) % 1_000_000, words.micros);
  // the host's tcpdump of FreeBSD 15 has no word for "match"
  assert.match(words.action, ACTION_WORDS[header.action] ?? /^never$/);
  assert.equal(words.direction, header.direction === Direction.OUT ? 'out' : 'in');
  assert.equal(words.interfaceName, header.interfaceName);
  // of 162 bytes the last are the flags: enough for us, not for tcpdump
  if (words.said === 'truncated-tcp' && frame.captureLength === 162) assert.equal(decode(frame).ok, true);
  else assert.equal(saidBy(frame), words.said);
  const decoded = decode(frame);
  if (!decoded.ok) return;
  // of others tcpdump shows the distance from the first
  if (decoded.isSyn && words.sequence !== undefined) assert.equal(decoded.sequence >>> 0, words.sequence);
  if (words.hasIpOptions !== undefined) assert.equal(decoded.hasIpOptions, words.hasIpOptions);
}

const ACTION_WORDS: Readonly<Record<number, RegExp>> = {
  [Action.PASS]: /^pass$/,
  [Action.DROP]: /^block$/,
  [Action.RDR]: /^(pass|rdr)$/,
  [Action.MATCH]: /^(match|unkn\(12\))$/,
};

let framesSeen = 0;
let recordsChecked = 0;

for (const name of PFLOG_RECORDINGS) {
  test(`${name} says what the kernel and tcpdump said`, () => {
    const notes = readNotes(name);
    const frames = framesOf(name);
    const records = notedRecords(notes);
    assert.equal(frames.length, statedRecords(notes));
    if (!/burst|34-pflog0-destroyed/.test(name)) {
      assert.equal(records.length, frames.length);
      assert.ok(name.includes('35-strangers') || records.every(({ decoded }) => decoded !== undefined));
    }
    for (const [index, record] of records.entries()) {
      const frame = frames[index];
      assert.ok(frame !== undefined);
      checkRecord(frame, record);
    }
    framesSeen += frames.length;
    recordsChecked += records.length;
  });
}

test('every record of every recording has been looked at', () => {
  const stated = PFLOG_RECORDINGS.map((name) => statedRecords(readNotes(name)));
  const sum = stated.reduce((total, count) => total + count, 0);
  const listed = PFLOG_RECORDINGS.map((name) => notedRecords(readNotes(name)).length);
  assert.deepEqual([framesSeen, recordsChecked], [sum, listed.reduce((total, count) => total + count, 0)]);
  // FreeBSD 10.4, OpenBSD 7.8, FreeBSD 15.1: beside the bursts, and of those the first of their records
  assert.equal(PFLOG_RECORDINGS.length, 30 + 51 + 20);
  assert.equal(sum, 96 + 20_000 + 239 + 20_000 + 97 + 5000);
  assert.equal(recordsChecked, 95 + 40 + 239 + 20 + 97 + 1999);
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
