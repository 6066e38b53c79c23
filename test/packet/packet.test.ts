import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatAddress } from '../../src/packet/address.js';
import {
  decode,
  decodeAddresses,
  decodePacket,
  type Observation,
  type Undecoded,
  type UndecodedReason,
} from '../../src/packet/observation.js';
import { Action, Direction, PfReason, readPflogHeader } from '../../src/packet/pflog.js';
import {
  authentication,
  extension,
  fragment,
  frame4,
  frame6,
  ipv4,
  ipv6,
  join,
  tcp,
  TIME_MS,
} from '../support/frames.js';
import { framesOf, PFLOG_RECORDINGS } from '../support/recordings.js';

/** Decodes a packet that begins and ends somewhere in a memory that is full of something else. */
function decodeAmong(packet: Uint8Array, around = 0xff, before = 7): Observation | Undecoded {
  const data = new Uint8Array(before + packet.length + 100).fill(around);
  data.set(packet, before);
  return decodePacket(data, before, before + packet.length, TIME_MS, Direction.IN);
}

function addressesAmong(packet: Uint8Array): Observation | undefined {
  const data = new Uint8Array(7 + packet.length + 100).fill(0xff);
  data.set(packet, 7);
  return decodeAddresses(data, 7, 7 + packet.length);
}

/** Addresses, ports and flags, or the reason: what does not depend on pf. */
function essence(answer: Observation | Undecoded): string {
  if (!answer.ok) return answer.reason;
  const { source, destination, sourcePort, destinationPort, tcpFlags } = answer;
  return `${formatAddress(source)} ${sourcePort} > ${formatAddress(destination)} ${destinationPort} ${tcpFlags}`;
}

/** The IP packets in the recordings of pf's log, as far as they were captured, with what `decode` says. */
const recorded = PFLOG_RECORDINGS.flatMap((name) =>
  framesOf(name).map((frame) => {
    const header = readPflogHeader(frame);
    assert.ok(typeof header !== 'string');
    const start = frame.offset + ((header.length + 3) & ~3);
    const packet = frame.data.subarray(start, frame.offset + frame.captureLength);
    return { name, packet, answer: decode(frame) };
  }),
);

/** What is wrong with damaged packets; there is one more, for which luck does not suffice. */
const COMMON_REASONS: readonly (UndecodedReason | 'ok')[] = [
  'ok',
  'version-mismatch',
  'truncated-ipv4',
  'truncated-ipv6',
  'truncated-ipv6-extension',
  'bad-ipv4',
  'fragment',
  'not-tcp',
  'truncated-tcp',
  'short-tcp',
  'bad-tcp',
];

describe('a packet without a header of pf', () => {
  it('says the same as its frame in the recordings of pf: addresses, ports, flags, or the reason', () => {
    const counts = { ok: 0, failed: 0 };
    for (const { name, packet, answer } of recorded) {
      assert.equal(essence(decodeAmong(packet)), essence(answer), name);
      counts[answer.ok ? 'ok' : 'failed']++;
    }
    assert.ok(counts.ok > 20_000 && counts.failed > 5, JSON.stringify(counts));
  });

  it('has no rule and no interface; time and direction are the caller’s', () => {
    for (const packet of [ipv4(), ipv6()]) {
      const decoded = decodePacket(packet, 0, packet.length, 5.5, Direction.OUT);
      assert.ok(decoded.ok);
      const { timeMs, direction, action, pfReason, interfaceName, anchor, ruleNumber, isSyn } = decoded;
      assert.deepEqual(
        { timeMs, direction, action, pfReason, interfaceName, anchor, ruleNumber, isSyn },
        {
          timeMs: 5.5,
          direction: Direction.OUT,
          action: Action.NONE,
          pfReason: PfReason.MATCH,
          interfaceName: '',
          anchor: '',
          ruleNumber: -1,
          isSyn: true,
        },
      );
    }
  });

  it('is decoded from 14 bytes of TCP on; cut anywhere before it fails as its frame does', () => {
    const options = new Uint8Array(8).fill(1);
    for (const [packet, frame] of [
      [ipv4({ options }), frame4(ipv4({ options }))],
      [ipv6({ extensions: [extension(60, 1)] }), frame6(ipv6({ extensions: [extension(60, 1)] }))],
    ] as const) {
      const headers = frame.data.length - packet.length;
      for (let length = 1; length <= packet.length; length++) {
        const answer = decodeAmong(packet.subarray(0, length));
        assert.deepEqual(essence(answer), essence(decode({ ...frame, captureLength: headers + length })));
        assert.equal(answer.ok, length >= packet.length - 6, `${length} bytes`);
      }
    }
  });

  const failures: readonly (readonly [UndecodedReason, Uint8Array])[] = [
    ['truncated-ipv4', ipv4().subarray(0, 19)],
    ['truncated-ipv6', ipv6().subarray(0, 39)],
    ['truncated-ipv6-extension', ipv6({ extensions: [extension(0, 2)] }).subarray(0, 63)],
    ['bad-ipv4', ipv4({ headerLength: 4 })],
    ['bad-ipv4', ipv4({ totalLength: 19 })],
    ['too-many-ipv6-extensions', ipv6({ extensions: Array.from({ length: 17 }, () => extension(60)) })],
    ['fragment', ipv4({ fragmentOffset: 1 })],
    ['fragment', ipv6({ extensions: [fragment(1, false)] })],
    ['not-tcp', ipv4({ protocol: 17 })],
    ['not-tcp', ipv6({ protocol: 58 })],
    ['truncated-tcp', ipv4().subarray(0, 33)],
    ['truncated-tcp', ipv6().subarray(0, 53)],
    ['short-tcp', ipv4({ totalLength: 39 })],
    ['short-tcp', ipv6({ payloadLength: 19 })],
    ['bad-tcp', ipv4({ payload: tcp({ dataOffset: 4 }) })],
    ['bad-tcp', ipv6({ payload: tcp({ dataOffset: 0 }) })],
  ];
  for (const [reason, packet] of failures) {
    const version = (packet[0] ?? 0) >> 4;
    it(`is ${reason} as its frame is (IPv${version}, ${packet.length} bytes)`, () => {
      assert.equal(essence(decode(version === 4 ? frame4(packet) : frame6(packet))), reason);
      assert.deepEqual(decodeAmong(packet), { ok: false, reason });
    });
  }

  it('of any other version is none', () => {
    for (const version of [0, 1, 2, 3, 5, 7, 8, 14, 15]) {
      const answers = [ipv4({ version }), ipv6({ version })].map((packet) => decodeAmong(packet));
      for (const answer of answers) assert.deepEqual(answer, { ok: false, reason: 'version-mismatch' });
      assert.equal(addressesAmong(ipv4({ version })), undefined, `version ${version}`);
      assert.equal(addressesAmong(ipv6({ version })), undefined, `version ${version}`);
    }
  });

  it('that is empty is none, whatever stands behind it', () => {
    for (const behind of [ipv4(), ipv6(), new Uint8Array(0)]) {
      assert.deepEqual(decodePacket(behind, 0, 0, 0, 1), { ok: false, reason: 'version-mismatch' });
      assert.deepEqual(decodePacket(behind, 9, 9, 0, 1), { ok: false, reason: 'version-mismatch' });
      assert.equal(decodeAddresses(behind, 0, 0), undefined);
    }
  });
});

describe('the addresses of a packet', () => {
  const V4 = '203.0.113.7 0 > 192.0.2.3 0 0';
  const V6 = '2001:db8::7 0 > 2001:db8::25 0 0';
  const long = Array.from({ length: 17 }, () => extension(60));
  const cases: readonly (readonly [string, UndecodedReason | 'ok', Uint8Array, string])[] = [
    ['that is whole', 'ok', ipv4(), V4],
    ['that is whole', 'ok', ipv6(), V6],
    ['with a data offset that cannot be', 'bad-tcp', ipv4({ payload: tcp({ dataOffset: 4 }) }), V4],
    ['with a data offset that cannot be', 'bad-tcp', ipv6({ payload: tcp({ dataOffset: 4 }) }), V6],
    ['with half a TCP header', 'short-tcp', ipv4({ payload: tcp().subarray(0, 10) }), V4],
    ['with half a TCP header', 'short-tcp', ipv6({ payload: tcp().subarray(0, 10) }), V6],
    ['cut within TCP', 'truncated-tcp', ipv4().subarray(0, 33), V4],
    ['cut within TCP', 'truncated-tcp', ipv6().subarray(0, 53), V6],
    ['cut behind the IP header', 'truncated-tcp', ipv4().subarray(0, 20), V4],
    ['cut behind the IP header', 'truncated-tcp', ipv6().subarray(0, 40), V6],
    ['cut within options', 'truncated-ipv4', ipv4({ options: new Uint8Array(8) }).subarray(0, 24), V4],
    [
      'cut within an extension header',
      'truncated-ipv6-extension',
      ipv6({ extensions: [authentication(3)] }).subarray(0, 41),
      V6,
    ],
    ['behind too many extension headers', 'too-many-ipv6-extensions', ipv6({ extensions: long }), V6],
    ['with a header length that cannot be', 'bad-ipv4', ipv4({ headerLength: 4 }), V4],
    ['that is a later fragment', 'fragment', ipv4({ fragmentOffset: 5 }), V4],
    ['of another protocol', 'not-tcp', ipv6({ protocol: 58 }), V6],
  ];
  for (const [name, reason, packet, expected] of cases) {
    it(`${name} are read, and nothing else (IPv${(packet[0] ?? 0) >> 4}, ${reason})`, () => {
      const answer = decodeAmong(packet);
      assert.equal(answer.ok ? 'ok' : answer.reason, reason);
      const addresses = addressesAmong(packet);
      assert.ok(addresses !== undefined);
      assert.equal(essence(addresses), expected);
      assert.equal(addresses.isSyn, false);
    });
  }

  it('are not read from a header that is cut', () => {
    for (let length = 0; length < 20; length++) {
      assert.equal(addressesAmong(ipv4().subarray(0, length)), undefined, `${length} bytes`);
    }
    for (let length = 0; length < 40; length++) {
      assert.equal(addressesAmong(ipv6().subarray(0, length)), undefined, `${length} bytes`);
    }
  });

  it('are those that decoding finds, in the recordings of pf', () => {
    for (const { packet, answer } of recorded) {
      if (!answer.ok) continue;
      const addresses = addressesAmong(packet);
      assert.ok(addresses !== undefined);
      assert.deepEqual(
        [addresses.family, addresses.source, addresses.destination],
        [answer.family, answer.source, answer.destination],
      );
    }
  });
});

describe('packets damaged at random', () => {
  const chain = [extension(0), extension(43), fragment(0, true), authentication(3), extension(60)];
  const seeds = [
    ...recorded.filter(({ name }) => !name.endsWith('.gz')).map(({ packet }) => packet),
    ...[ipv4(), ipv4({ options: new Uint8Array(12) }), ipv4({ fragmentOffset: 3 })],
    ...[ipv6(), ipv6({ extensions: chain })],
  ];
  const edit = fc.record({
    at: fc.oneof(fc.constantFrom(0, 3, 5, 6, 7, 9, 20, 32, 33, 40, 41, 52), fc.nat(120)),
    value: fc.oneof(fc.constantFrom(0, 1, 4, 6, 17, 43, 44, 51, 60, 0x44, 0x45, 0x4f, 0x60), fc.nat(255)),
  });
  const damaged = fc
    .record({
      seed: fc.nat(seeds.length - 1),
      edits: fc.array(edit, { maxLength: 4 }),
      cut: fc.option(fc.nat(140)),
    })
    .map(({ seed, edits, cut }) => {
      const packet = Uint8Array.from(seeds[seed] ?? []);
      for (const { at, value } of edits) if (at < packet.length) packet[at] = value;
      return packet.subarray(0, cut ?? packet.length);
    });
  const any = fc.oneof({ weight: 4, arbitrary: damaged }, fc.uint8Array({ maxLength: 200 }));

  it('never throw, and say what their frames say', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(any, fc.nat(255), fc.nat(9), (packet, around, before) => {
        const answer = decodeAmong(packet, around, before);
        kinds.add(answer.ok ? 'ok' : answer.reason);
        const version = (packet[0] ?? 0) >> 4;
        if (version === 4) assert.equal(essence(answer), essence(decode(frame4(packet))));
        else if (version === 6) assert.equal(essence(answer), essence(decode(frame6(packet))));
        else assert.equal(essence(answer), 'version-mismatch');
      }),
      { numRuns: 20_000 },
    );
    for (const reason of COMMON_REASONS) assert.ok(kinds.has(reason), `${reason} has not come up`);
  });

  it('never throw when their addresses are read, which are there with every whole IP header', () => {
    fc.assert(
      fc.property(any, (packet) => {
        const version = (packet[0] ?? 0) >> 4;
        const isWhole = (version === 4 && packet.length >= 20) || (version === 6 && packet.length >= 40);
        const addresses = addressesAmong(packet);
        assert.equal(addresses !== undefined, isWhole);
        const answer = decodeAmong(packet);
        if (answer.ok && addresses !== undefined) {
          assert.deepEqual([addresses.source, addresses.destination], [answer.source, answer.destination]);
        }
      }),
      { numRuns: 10_000 },
    );
  });

  it('never throw wherever they are said to begin and end', () => {
    const data = join(ipv4(), ipv6({ extensions: chain }), ipv4({ headerLength: 15 }));
    fc.assert(
      fc.property(fc.nat(data.length), fc.nat(data.length), (start, end) => {
        decodePacket(data, start, end, 0, 1);
        decodeAddresses(data, start, end);
      }),
      { numRuns: 5000 },
    );
  });
});
