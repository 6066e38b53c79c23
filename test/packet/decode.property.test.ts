import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Frame, LinkType } from '../../src/packet/frame.js';
import type { LinkFailure } from '../../src/packet/link.js';
import { decode, Observation, type Undecoded, type UndecodedReason } from '../../src/packet/observation.js';
import { readPflogHeader } from '../../src/packet/pflog.js';
import {
  authentication,
  type Extension,
  extension,
  fragment,
  frame4,
  frame6,
  frameOf,
  ipv4,
  ipv6,
  join,
  oldPflogHeader,
  tcp,
} from '../support/frames.js';
import { framesOf, PFLOG_RECORDINGS } from '../support/recordings.js';

const REASONS = {
  'truncated-pflog': true,
  'bad-pflog-length': true,
  'unknown-address-family': true,
  'version-mismatch': true,
  'truncated-ipv4': true,
  'truncated-ipv6': true,
  'truncated-ipv6-extension': true,
  'bad-ipv4': true,
  'too-many-ipv6-extensions': true,
  fragment: true,
  'not-tcp': true,
  'truncated-tcp': true,
  'short-tcp': true,
  'bad-tcp': true,
} satisfies Record<Exclude<UndecodedReason, LinkFailure | 'other-prefix'>, true>;

/** Those of a wire. */
const LINK_REASONS = {
  'truncated-link': true,
  'bad-link': true,
  'not-ip': true,
  loopback: true,
} satisfies Record<LinkFailure, true>;

/** Checks that an answer is one of the two kinds, with every field in its range; gives `ok` or the reason. */
function kindOf(answer: Observation | Undecoded): string {
  if (!answer.ok) {
    if (!(answer.reason in { ...REASONS, ...LINK_REASONS }))
      assert.fail(`unknown reason ${String(answer.reason)}`);
    return answer.reason;
  }
  const inRange =
    answer instanceof Observation &&
    (answer.family === 4 || answer.family === 6) &&
    isUint(answer.sourcePort, 0xffff) &&
    isUint(answer.destinationPort, 0xffff) &&
    isUint(answer.tcpFlags, 0xff) &&
    isUint(answer.direction + 1, 0x10001) &&
    isUint(answer.action + 1, 0x10000) &&
    isUint(answer.pfReason, 0xffff) &&
    answer.interfaceName.length <= 16 &&
    answer.anchor.length <= 16 &&
    Number.isInteger(answer.ruleNumber) &&
    Number.isInteger(answer.source0 + answer.source1 + answer.source2 + answer.source3) &&
    Number.isInteger(answer.destination0 + answer.destination1 + answer.destination2 + answer.destination3);
  if (!inRange) assert.fail(`out of range: ${JSON.stringify(answer)}`);
  return 'ok';
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/** A small generator of numbers that gives the same ones each time (xorshift32, Marsaglia 2003). */
class Numbers {
  constructor(private state: number) {}

  /** 0 to `limit` - 1 */
  below(limit: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 0) % limit;
  }
}

/** Frames to begin with: recorded ones, and built ones of every layout. */
function seeds(): Frame[] {
  const recorded = PFLOG_RECORDINGS.filter((name) => !name.endsWith('.gz')).flatMap(framesOf);
  const built: Frame[] = [];
  for (const length of [45, 61, 69, 100, 120]) {
    built.push(frame4(ipv4({ options: new Uint8Array(12) }), { length }), frame6(ipv6(), { length }));
  }
  const chain = [extension(0), extension(43), fragment(0, true), authentication(3), extension(60)];
  const long = Array.from({ length: 15 }, () => extension(60));
  built.push(
    frame6(ipv6({ extensions: chain })),
    frame6(ipv6({ extensions: [...long, extension(0)] })),
    frame6(ipv6({ extensions: [...long, extension(0), extension(43)] })),
    frame4(ipv4({ fragmentOffset: 100 })),
    frameOf(join(oldPflogHeader({}), ipv4()), { linkType: LinkType.OLD_PFLOG }),
    frameOf(join(oldPflogHeader({ addressFamily: 24 }), ipv6()), { linkType: LinkType.OLD_PFLOG }),
  );
  return [...recorded, ...built];
}

/** Frames of wires, with a header of each kind. */
function wireSeeds(): Frame[] {
  const headers: readonly (readonly [LinkType, string])[] = [
    [LinkType.ETHERNET, '0200000000010200000000020800'],
    [
      LinkType.ETHERNET,
      '020000000001020000000002' + '88a80001' + '81000002' + '81000003' + '81000004' + '0800',
    ],
    [LinkType.LINUX_SLL, '00000001000602000000000100000800'],
    [LinkType.LINUX_SLL2, '0800000000000002000100060200000000010000'],
    [LinkType.RAW, ''],
    // family 2, version 0, group 5; packet header with hook 1; payload of 60 bytes
    [LinkType.NFLOG, '02000005' + '08000100' + '08000100' + '40000900'],
  ];
  const packet = ipv4({ payload: tcp({ payload: new Uint8Array(20) }) });
  return headers.map(([linkType, hex]) => frameOf(join(Buffer.from(hex, 'hex'), packet), { linkType }));
}

/** Bytes at which a change matters most: lengths, families, versions, protocols, offsets. */
const TELLING = [0, 1, 60, 64, 66, 67, 68, 69, 70, 71, 73, 76, 84, 96, 97, 104, 105, 106, 107, 112, 113, 116];
const TELLING_VALUES = [0, 1, 2, 4, 6, 17, 28, 43, 44, 45, 51, 60, 61, 69, 100, 255];
/** The same for wires: types, tags, kinds of interface and of packet, lengths of attributes. */
const TELLING_ON_WIRE = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 26, 30];
const VALUES_ON_WIRE = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 81, 0x81, 0x86, 0x88, 0xa8, 0xdd, 255];

/** Makes one damaged frame after another, in a buffer that it uses again. */
class Damager {
  private readonly bytes = new Uint8Array(1024);

  constructor(
    private readonly numbers: Numbers,
    private readonly seeds: readonly Frame[],
    private readonly places: readonly number[] = TELLING,
    private readonly values: readonly number[] = TELLING_VALUES,
  ) {}

  next(): Frame {
    const { numbers, bytes } = this;
    const seed = this.seeds[numbers.below(this.seeds.length)];
    assert.ok(seed !== undefined);
    let length = seed.captureLength;
    bytes.set(seed.data.subarray(seed.offset, seed.offset + length));
    for (let edits = numbers.below(4); edits >= 0; edits--) {
      const at = numbers.below(length + 1);
      switch (numbers.below(8)) {
        case 0:
          bytes[at] = numbers.below(256);
          break;
        case 1:
          bytes[at] = (bytes[at] ?? 0) ^ (1 << numbers.below(8));
          break;
        case 2:
          length = at;
          break;
        case 3: {
          const count = 1 + numbers.below(8);
          bytes.copyWithin(at + count, at, length);
          for (let i = 0; i < count; i++) bytes[at + i] = numbers.below(256);
          length = Math.min(length + count, 512);
          break;
        }
        case 4: {
          const count = Math.min(1 + numbers.below(8), length - at);
          bytes.copyWithin(at, at + count, length);
          length -= count;
          break;
        }
        case 5:
          length = numbers.below(512);
          break;
        default:
          bytes[this.places[numbers.below(this.places.length)] ?? 0] =
            this.values[numbers.below(this.values.length)] ?? 0;
      }
    }
    const isOther = seed.linkType === LinkType.PFLOG && numbers.below(16) === 0;
    const linkType = isOther ? LinkType.OLD_PFLOG : seed.linkType;
    return { ...seed, data: bytes, offset: 0, captureLength: length, linkType };
  }
}

test('a million damaged frames are each an observation or a known reason, and all of these come up', () => {
  const damager = new Damager(new Numbers(20081001), seeds());
  const counts = new Map<string, number>();
  for (let i = 0; i < 1_000_000; i++) {
    const kind = kindOf(decode(damager.next()));
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), [...Object.keys(REASONS), 'ok'].sort());
  for (const [kind, count] of counts) assert.ok(count >= 100, `${kind}: only ${count}`);
  assert.ok((counts.get('ok') ?? 0) > 100_000);
});

test('what surrounds a frame in memory changes nothing, in 50,000 damaged frames', () => {
  const numbers = new Numbers(25);
  const damager = new Damager(numbers, seeds());
  for (let i = 0; i < 50_000; i++) {
    const frame = damager.next();
    const exact = frame.data.slice(0, frame.captureLength);
    const alone = { ...frame, data: exact };
    const offset = numbers.below(9);
    const data = new Uint8Array(exact.length + offset + 80).fill(numbers.below(256));
    for (let j = 0; j < 80; j++) data[offset + exact.length + j] = numbers.below(256);
    data.set(exact, offset);
    const among = { ...frame, data, offset };
    assert.deepEqual(decode(among), decode(alone));
    assert.deepEqual(readPflogHeader(among), readPflogHeader(alone));
    assert.deepEqual(decode({ ...alone, captureLength: exact.length + 100 }), decode(alone));
  }
});

test('a header is read from a frame exactly if decoding does not fail at it', () => {
  const damager = new Damager(new Numbers(117), seeds());
  for (let i = 0; i < 50_000; i++) {
    const frame = damager.next();
    const header = readPflogHeader(frame);
    const answer = decode(frame);
    if (typeof header === 'string') {
      assert.deepEqual(answer, { ok: false, reason: header });
    } else if (answer.ok) {
      assert.deepEqual(
        [
          answer.action,
          answer.pfReason,
          answer.direction,
          answer.interfaceName,
          answer.anchor,
          answer.ruleNumber,
        ],
        [
          header.action,
          header.reason,
          header.direction,
          header.interfaceName,
          header.ruleset,
          header.ruleNumber,
        ],
      );
    } else {
      assert.ok(answer.reason !== 'truncated-pflog' && answer.reason !== 'bad-pflog-length');
    }
  }
});

test('a million damaged frames of wires are each an observation or a known reason', () => {
  const damager = new Damager(new Numbers(20261201), wireSeeds(), TELLING_ON_WIRE, VALUES_ON_WIRE);
  const counts = new Map<string, number>();
  for (let i = 0; i < 1_000_000; i++) {
    const kind = kindOf(decode(damager.next()));
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  // ARPHRD_LOOPBACK takes two bytes at once
  const seldom = new Set(['loopback']);
  for (const reason of [...Object.keys(LINK_REASONS), 'ok']) {
    assert.ok(seldom.has(reason) || (counts.get(reason) ?? 0) > 0, reason);
  }
});

test('random bytes of any length and link type are an observation or a known reason', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.constantFrom(...Object.values(LinkType)),
      fc.integer({ min: -5, max: 500 }),
      fc.nat(50),
      (bytes, linkType, captureLength, offset) => {
        const frame = frameOf(bytes, { linkType, captureLength, offset });
        kindOf(decode(frame));
        readPflogHeader(frame);
      },
    ),
    { numRuns: 20_000 },
  );
});

const anyExtension: fc.Arbitrary<Extension> = fc.oneof(
  fc
    .tuple(fc.constantFrom(0, 43, 60, 135, 139, 140), fc.nat(3))
    .map(([type, units]) => extension(type, units)),
  fc.nat(6).map(authentication),
  fc.boolean().map((more) => fragment(0, more)),
);
const laterFragment = fc.integer({ min: 1, max: 0x1fff }).map((offset) => fragment(offset, true));

test('behind any chain of up to 16 extension headers a segment is found, and behind more it is not', () => {
  fc.assert(
    fc.property(
      fc.array(anyExtension, { maxLength: 20 }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 255 }),
      (extensions, sourcePort, flags) => {
        const answer = decode(frame6(ipv6({ extensions, payload: tcp({ sourcePort, flags }) })));
        if (extensions.length > 16) {
          assert.deepEqual(answer, { ok: false, reason: 'too-many-ipv6-extensions' });
        } else {
          assert.ok(answer.ok);
          assert.deepEqual(
            [answer.sourcePort, answer.destinationPort, answer.tcpFlags],
            [sourcePort, 25, flags],
          );
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('a later fragment anywhere in a chain is a fragment, and a cut anywhere in one is a cut', () => {
  fc.assert(
    fc.property(
      fc.array(anyExtension, { maxLength: 12 }),
      laterFragment,
      fc.array(anyExtension, { maxLength: 3 }),
      fc.nat(),
      (before, later, after, cut) => {
        const whole = frame6(ipv6({ extensions: [...before, later, ...after] }));
        assert.deepEqual(decode(whole), { ok: false, reason: 'fragment' });
        const chainEnd = 104 + before.reduce((sum, { bytes }) => sum + bytes.length, 0) + 8;
        const captureLength = 104 + (cut % (chainEnd - 104));
        const answer = decode({ ...whole, captureLength });
        assert.deepEqual(answer, { ok: false, reason: 'truncated-ipv6-extension' });
      },
    ),
    { numRuns: 3000 },
  );
});
