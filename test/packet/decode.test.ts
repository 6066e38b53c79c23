import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress } from '../../src/packet/address.js';
import { type Frame, LinkType } from '../../src/packet/frame.js';
import { decode, Observation, TcpFlag, type UndecodedReason } from '../../src/packet/observation.js';
import { Action, Direction, PfReason, readPflogHeader } from '../../src/packet/pflog.js';
import {
  authentication,
  cutTo,
  extension,
  fragment,
  frame4,
  frame6,
  frameOf,
  ipv4,
  ipv6,
  join,
  oldPflogHeader,
  pflogHeader,
  tcp,
  TIME_MS,
} from '../support/frames.js';

function outcome(frame: Frame): 'ok' | UndecodedReason {
  const decoded = decode(frame);
  return decoded.ok ? 'ok' : decoded.reason;
}

function observed(frame: Frame): Observation {
  const decoded = decode(frame);
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.reason);
  return decoded;
}

/**
 * Cuts a frame to every length there is.
 * @param steps - from which captured length on which outcome is expected
 */
function checkEveryCut(frame: Frame, steps: readonly (readonly [from: number, outcome: string])[]): void {
  for (let length = 0; length <= frame.data.length; length++) {
    const expected = steps.filter(([from]) => from <= length).at(-1)?.[1];
    assert.equal(outcome(cutTo(frame, length)), expected, `${length} bytes`);
    const short = { ...frame, data: frame.data.subarray(0, length) };
    assert.equal(outcome(short), expected, `${length} bytes in memory, more claimed`);
  }
}

describe('a whole frame', () => {
  it('says everything about an IPv4 segment', () => {
    const header = {
      action: 12,
      reason: 8,
      interfaceName: 'vlan4094',
      ruleset: 'mx',
      ruleNumber: 70_000,
      direction: 2,
    };
    const segment = tcp({ sourcePort: 65_535, destinationPort: 587, flags: 0xd8 });
    const packet = ipv4({ source: '255.254.253.252', destination: '1.2.3.4', payload: segment });
    const decoded = observed(frame4(packet, header));
    assert.equal(decoded.timeMs, TIME_MS);
    assert.equal(formatAddress(decoded.source), '255.254.253.252');
    assert.equal(formatAddress(decoded.destination), '1.2.3.4');
    assert.equal(decoded.family, 4);
    assert.equal(decoded.sourcePort, 65_535);
    assert.equal(decoded.destinationPort, 587);
    assert.equal(decoded.tcpFlags, TcpFlag.CWR | TcpFlag.ECE | TcpFlag.ACK | TcpFlag.PSH);
    assert.equal(decoded.direction, Direction.OUT);
    assert.equal(decoded.action, 12);
    assert.equal(decoded.pfReason, 8);
    assert.equal(decoded.interfaceName, 'vlan4094');
    assert.equal(decoded.anchor, 'mx');
    assert.equal(decoded.ruleNumber, 70_000);
  });

  it('says everything about an IPv6 segment', () => {
    const packet = ipv6({
      source: '2001:db8:89ab:cdef:123:4567:fedc:ba98',
      destination: 'fe80:0:0:0:8000:7fff:ffff:1',
      payload: tcp({ sourcePort: 1, destinationPort: 25, flags: TcpFlag.RST }),
    });
    const decoded = observed(frame6(packet, { ruleNumber: -1, direction: 1, action: 0 }));
    assert.equal(formatAddress(decoded.source), '2001:db8:89ab:cdef:123:4567:fedc:ba98');
    assert.equal(formatAddress(decoded.destination), 'fe80::8000:7fff:ffff:1');
    assert.equal(decoded.family, 6);
    assert.equal(decoded.sourcePort, 1);
    assert.equal(decoded.destinationPort, 25);
    assert.equal(decoded.tcpFlags, TcpFlag.RST);
    assert.equal(decoded.direction, Direction.IN);
    assert.equal(decoded.action, 0);
    assert.equal(decoded.ruleNumber, -1);
  });

  it('has its addresses as words too, of IPv4 the first one only', () => {
    const { source0, source1, source2, source3, destination0, destination1, destination2, destination3 } =
      observed(frame4(ipv4({ source: '192.0.2.1', destination: '1.2.3.4' })));
    assert.deepEqual([source0, source1, source2, source3], [-1073741311, 0, 0, 0]);
    assert.deepEqual([destination0, destination1, destination2, destination3], [0x01020304, 0, 0, 0]);
    const addresses = { source: '1:2:3:4:5:6:7:8', destination: 'ffff:ffff:8000:0:0:1:7fff:ffff' };
    const long = observed(frame6(ipv6(addresses)));
    assert.deepEqual(
      [long.source0, long.source1, long.source2, long.source3],
      [0x00010002, 0x00030004, 0x00050006, 0x00070008],
    );
    assert.deepEqual(
      [long.destination0, long.destination1, long.destination2, long.destination3],
      [-1, -0x80000000, 1, 0x7fffffff],
    );
  });

  it('is found at any offset of a larger buffer', () => {
    const whole = frame6();
    const data = Buffer.alloc(500, 0xff).subarray(3);
    data.set(whole.data, 77);
    const moved: Frame = { ...whole, data, offset: 77 };
    assert.deepEqual(decode(moved), decode(whole));
    assert.deepEqual(readPflogHeader(moved), readPflogHeader(whole));
  });

  it('decodes from 14 bytes of TCP, however long the segment was', () => {
    const packet = ipv4({ payload: tcp({ payload: new Uint8Array(1400) }) });
    assert.equal(outcome({ ...cutTo(frame4(packet), 98), originalLength: 1484 }), 'ok');
  });
});

describe('a frame cut off', () => {
  it('behind IPv4 needs 98 bytes', () => {
    checkEveryCut(frame4(), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv4'],
      [84, 'truncated-tcp'],
      [98, 'ok'],
    ]);
  });

  it('behind IPv4 with 8 bytes of options needs 106', () => {
    checkEveryCut(frame4(ipv4({ options: new Uint8Array(8).fill(1) })), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv4'],
      [92, 'truncated-tcp'],
      [106, 'ok'],
    ]);
  });

  it('behind IPv6 needs 118 bytes', () => {
    checkEveryCut(frame6(), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv6'],
      [104, 'truncated-tcp'],
      [118, 'ok'],
    ]);
  });

  it('behind a hop-by-hop header of 8 bytes needs 126', () => {
    checkEveryCut(frame6(ipv6({ extensions: [extension(0)] })), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv6'],
      [104, 'truncated-ipv6-extension'],
      [112, 'truncated-tcp'],
      [126, 'ok'],
    ]);
  });

  it('in a fragment header, an authentication header or a long one behind another is cut off there', () => {
    const extensions = [fragment(0, true), authentication(3), extension(60, 2)];
    checkEveryCut(frame6(ipv6({ extensions })), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv6'],
      [104, 'truncated-ipv6-extension'],
      [104 + 8 + 24 + 24, 'truncated-tcp'],
      [104 + 8 + 24 + 24 + 14, 'ok'],
    ]);
  });

  it('in a later fragment is a fragment as soon as the header that says so is there', () => {
    checkEveryCut(frame6(ipv6({ extensions: [fragment(1, false)] })), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv6'],
      [104, 'truncated-ipv6-extension'],
      [112, 'fragment'],
    ]);
    checkEveryCut(frame4(ipv4({ fragmentOffset: 1 })), [
      [0, 'truncated-pflog'],
      [64, 'truncated-ipv4'],
      [84, 'fragment'],
    ]);
  });

  it('of link type 17 needs 62 bytes behind IPv4, 82 behind IPv6', () => {
    const v4 = frameOf(join(oldPflogHeader({}), ipv4()), { linkType: LinkType.OLD_PFLOG });
    checkEveryCut(v4, [
      [0, 'truncated-pflog'],
      [28, 'truncated-ipv4'],
      [48, 'truncated-tcp'],
      [62, 'ok'],
    ]);
    const v6 = frameOf(join(oldPflogHeader({ addressFamily: 24 }), ipv6()), { linkType: LinkType.OLD_PFLOG });
    checkEveryCut(v6, [
      [0, 'truncated-pflog'],
      [28, 'truncated-ipv6'],
      [68, 'truncated-tcp'],
      [82, 'ok'],
    ]);
  });

  for (const [length, payloadOffset] of [
    [45, 48],
    [61, 64],
    [69, 72],
    [100, 100],
    [255, 256],
  ] as const) {
    it(`of header length ${length} has its packet at ${payloadOffset}`, () => {
      checkEveryCut(frame4(ipv4(), { length }), [
        [0, 'truncated-pflog'],
        [payloadOffset, 'truncated-ipv4'],
        [payloadOffset + 20, 'truncated-tcp'],
        [payloadOffset + 34, 'ok'],
      ]);
    });
  }

  it('by the end of the memory is cut there, at any offset', () => {
    const whole = frame4();
    const data = new Uint8Array(150);
    data.set(whole.data.subarray(0, 60), 90);
    const cut = { ...whole, data, offset: 90 };
    assert.equal(outcome(cut), 'truncated-pflog');
    assert.equal(readPflogHeader(cut), 'truncated-pflog');
  });

  it('to one byte is told by that: a length that is none, or a header cut off', () => {
    assert.equal(outcome(frameOf(Uint8Array.of(44))), 'bad-pflog-length');
    assert.equal(outcome(frameOf(Uint8Array.of(45))), 'truncated-pflog');
  });

  it('to nothing, or to less, is no frame', () => {
    const whole = frame4();
    assert.equal(outcome({ ...whole, captureLength: -1 }), 'truncated-pflog');
    assert.equal(outcome({ ...whole, offset: whole.data.length }), 'truncated-pflog');
    assert.equal(outcome({ ...whole, offset: whole.data.length + 1000 }), 'truncated-pflog');
    assert.equal(readPflogHeader({ ...whole, captureLength: 63 }), 'truncated-pflog');
  });
});

describe('the pflog header', () => {
  it('of every length from 45 on is read by its rule, of a shorter one not', () => {
    const expected = observed(frame4(ipv4(), { direction: 2, ruleNumber: 9, ruleset: 'anchor' }));
    for (let length = 0; length <= 255; length++) {
      const frame = frame4(ipv4(), { length, direction: 2, ruleNumber: 9, ruleset: 'anchor' });
      if (length < 45) {
        const bytes = frame.data.slice();
        bytes[0] = length;
        const padded = frameOf(join(bytes, new Uint8Array(300)));
        assert.equal(outcome(padded), 'bad-pflog-length', `length ${length}`);
        assert.equal(readPflogHeader(padded), 'bad-pflog-length');
      } else {
        assert.deepEqual(decode(frame), expected, `length ${length}`);
        const header = readPflogHeader(frame);
        assert.ok(typeof header !== 'string');
        assert.equal(header.length, length);
        assert.equal(header.direction, 2);
        assert.equal(header.rulePid, length < 61 ? undefined : 358);
      }
    }
  });

  it('has rule numbers in big endian and ids in the byte order of the machine', () => {
    for (const littleEndian of [true, false]) {
      const fields = {
        ruleNumber: 0x01020304,
        subruleNumber: 0x05060708,
        uid: 1001,
        pid: 100_000,
        ruleUid: -1,
        rulePid: 0x0a0b0c0d,
        littleEndian,
      };
      const frame = {
        ...frame4(ipv4(), { ...fields, ruleset: 'relay', reason: 5, action: 0 }),
        littleEndian,
      };
      assert.deepEqual(readPflogHeader(frame), {
        length: 61,
        addressFamily: 2,
        action: 0,
        reason: 5,
        interfaceName: 'em0',
        ruleset: 'relay',
        ruleNumber: 0x01020304,
        subruleNumber: 0x05060708,
        uid: 1001,
        pid: 100_000,
        ruleUid: -1,
        rulePid: 0x0a0b0c0d,
        direction: 1,
      });
    }
  });

  it('of 45 bytes has no ids, and the direction at 44', () => {
    const header = readPflogHeader(frame4(ipv4(), { length: 45, direction: 2, ruleNumber: -1 }));
    assert.deepEqual(header, {
      length: 45,
      addressFamily: 2,
      action: 1,
      reason: 0,
      interfaceName: 'em0',
      ruleset: '',
      ruleNumber: -1,
      subruleNumber: -1,
      uid: undefined,
      pid: undefined,
      ruleUid: undefined,
      rulePid: undefined,
      direction: 2,
    });
  });

  it('of link type 17 is 28 bytes in big endian, with in as 0 and out as 1', () => {
    for (const [wire, direction] of [
      [0, Direction.IN],
      [1, Direction.OUT],
    ] as const) {
      const bytes = oldPflogHeader({ ruleNumber: 300, reason: 4, action: 1, direction: wire });
      const frame = frameOf(join(bytes, ipv4()), { linkType: LinkType.OLD_PFLOG, littleEndian: false });
      assert.deepEqual(readPflogHeader(frame), {
        length: 28,
        addressFamily: 2,
        action: 1,
        reason: 4,
        interfaceName: 'fxp0',
        ruleset: '',
        ruleNumber: 300,
        subruleNumber: -1,
        uid: undefined,
        pid: undefined,
        ruleUid: undefined,
        rulePid: undefined,
        direction,
      });
      const decoded = observed(frame);
      assert.equal(decoded.direction, direction);
      assert.equal(decoded.ruleNumber, 300);
      assert.equal(decoded.pfReason, 4);
      assert.equal(decoded.action, 1);
      assert.equal(decoded.interfaceName, 'fxp0');
      assert.equal(decoded.anchor, '');
      assert.equal(formatAddress(decoded.source), '203.0.113.7');
    }
  });

  it('of link type 17 says -1 for the default rule, as that of link type 117 does', () => {
    const frame = frameOf(join(oldPflogHeader({ ruleNumber: -1 }), ipv4()), { linkType: LinkType.OLD_PFLOG });
    const header = readPflogHeader(frame);
    assert.ok(typeof header !== 'string');
    assert.equal(header.ruleNumber, -1);
    assert.equal(observed(frame).ruleNumber, -1);
    assert.equal(observed(frame4(ipv4(), { ruleNumber: -1 })).ruleNumber, -1);
  });

  it('means IPv4 by address family 2, IPv6 by 10, 24, 28 and 30, and nothing by any other', () => {
    for (let addressFamily = 0; addressFamily <= 255; addressFamily++) {
      const v4 = outcome(frame4(ipv4(), { addressFamily }));
      const v6 = outcome(frame6(ipv6(), { addressFamily }));
      const pair = `${v4} ${v6}`;
      if (addressFamily === 2) assert.equal(pair, 'ok version-mismatch');
      else if ([10, 24, 28, 30].includes(addressFamily)) assert.equal(pair, 'version-mismatch ok');
      else assert.equal(pair, 'unknown-address-family unknown-address-family', String(addressFamily));
    }
  });

  it('of link type 17 has an address family of 32 bits', () => {
    for (const addressFamily of [0, 0x02000000, 0x102, 0xffffffff]) {
      const frame = frameOf(join(oldPflogHeader({ addressFamily }), ipv4()), {
        linkType: LinkType.OLD_PFLOG,
      });
      assert.equal(outcome(frame), 'unknown-address-family');
    }
  });

  it('must agree with the version in the IP header', () => {
    for (let version = 0; version <= 15; version++) {
      assert.equal(outcome(frame4(ipv4({ version }))), version === 4 ? 'ok' : 'version-mismatch');
      assert.equal(outcome(frame6(ipv6({ version }))), version === 6 ? 'ok' : 'version-mismatch');
    }
  });
});

describe('names in the pflog header', () => {
  function namesOf(interfaceName: string, ruleset: string): string[] {
    const decoded = observed(frame4(ipv4(), { interfaceName, ruleset }));
    const header = readPflogHeader(frame4(ipv4(), { interfaceName, ruleset }));
    assert.ok(typeof header !== 'string');
    assert.deepEqual([header.interfaceName, header.ruleset], [decoded.interfaceName, decoded.anchor]);
    return [decoded.interfaceName, decoded.anchor];
  }

  it('are told apart when one begins with the other or differs in one character, in any order', () => {
    for (const name of ['em0', 'em', 'em01', 'e', 'em0.100', 'em0', 'em', 'xm0', 'ex0', 'em0']) {
      assert.deepEqual(namesOf(name, `${name}x`), [name, `${name}x`]);
    }
  });

  it('may fill all 16 bytes', () => {
    assert.deepEqual(namesOf('0123456789abcdef', 'fedcba9876543210'), [
      '0123456789abcdef',
      'fedcba9876543210',
    ]);
    assert.deepEqual(namesOf('0123456789abcde', ''), ['0123456789abcde', '']);
  });

  it('end at the first NUL', () => {
    assert.deepEqual(namesOf('em0\0junk', '\0junk'), ['em0', '']);
  });

  it('are given byte by byte, however strange', () => {
    assert.deepEqual(namesOf('\x1b[2J\xff\x7f', '\n"\\'), ['\x1b[2J\xff\x7f', '\n"\\']);
  });

  it('stay right when there are more of them than are remembered', () => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) assert.deepEqual(namesOf(`tap${i}`, `a${i}`), [`tap${i}`, `a${i}`]);
    }
  });

  it('do not change when the buffer they were read from is used again', () => {
    const frame = frame4(ipv4(), { interfaceName: 'ix7', ruleset: 'first' });
    const before = observed(frame);
    frame.data.set(pflogHeader({ interfaceName: 'ix8', ruleset: 'other' }));
    const after = observed(frame);
    assert.deepEqual([before.interfaceName, before.anchor], ['ix7', 'first']);
    assert.deepEqual([after.interfaceName, after.anchor], ['ix8', 'other']);
    frame.data.set(pflogHeader({ interfaceName: 'ix7', ruleset: 'first' }));
    assert.deepEqual([observed(frame).interfaceName, observed(frame).anchor], ['ix7', 'first']);
  });
});

describe('IPv4', () => {
  it('may have up to 40 bytes of options', () => {
    for (let words = 0; words <= 10; words++) {
      const options = new Uint8Array(words * 4).fill(1);
      const decoded = observed(frame4(ipv4({ options, payload: tcp({ sourcePort: 5000 + words }) })));
      assert.equal(decoded.sourcePort, 5000 + words);
      assert.equal(decoded.destinationPort, 25);
    }
  });

  it('with a header shorter than 20 bytes is bad', () => {
    for (let headerLength = 0; headerLength < 5; headerLength++) {
      assert.equal(outcome(frame4(ipv4({ headerLength }))), 'bad-ipv4');
    }
  });

  it('with a total length shorter than its header is bad, with one of less than a TCP header short', () => {
    for (const [totalLength, expected] of [
      [0, 'bad-ipv4'],
      [19, 'bad-ipv4'],
      [20, 'short-tcp'],
      [39, 'short-tcp'],
      [40, 'ok'],
      [65_535, 'ok'],
    ] as const) {
      assert.equal(outcome(frame4(ipv4({ totalLength }))), expected, String(totalLength));
    }
    const options = new Uint8Array(12);
    for (const [totalLength, expected] of [
      [31, 'bad-ipv4'],
      [32, 'short-tcp'],
      [51, 'short-tcp'],
      [52, 'ok'],
    ] as const) {
      assert.equal(outcome(frame4(ipv4({ totalLength, options }))), expected, String(totalLength));
    }
  });

  it('is TCP by protocol 6 only', () => {
    for (let protocol = 0; protocol <= 255; protocol++) {
      assert.equal(outcome(frame4(ipv4({ protocol }))), protocol === 6 ? 'ok' : 'not-tcp');
    }
  });

  it('in fragments decodes from the first one only', () => {
    assert.equal(outcome(frame4(ipv4({ moreFragments: true }))), 'ok');
    assert.equal(outcome(frame4(ipv4({ moreFragments: false, fragmentOffset: 1 }))), 'fragment');
    assert.equal(outcome(frame4(ipv4({ moreFragments: true, fragmentOffset: 0x100 }))), 'fragment');
    assert.equal(outcome(frame4(ipv4({ fragmentOffset: 0x1fff }))), 'fragment');
    assert.equal(outcome(frame4(ipv4({ fragmentOffset: 0x1fff, protocol: 17 }))), 'fragment');
  });

  it('with "do not fragment" or the reserved flag set decodes', () => {
    for (const flags of [0x40, 0x80, 0xe0]) {
      const packet = ipv4();
      packet[6] = flags;
      assert.equal(outcome(frame4(packet)), 'ok');
    }
  });

  it('with a first fragment too small for a TCP header is short', () => {
    const packet = ipv4({ moreFragments: true, payload: tcp().subarray(0, 8) });
    assert.equal(outcome(frame4(packet)), 'short-tcp');
    const padded = frame4(join(packet, new Uint8Array(64)));
    assert.equal(outcome(padded), 'short-tcp');
  });
});

describe('IPv6', () => {
  const EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140];

  it('is TCP by next header 6 only, behind any of the extension headers', () => {
    for (let protocol = 0; protocol <= 255; protocol++) {
      if (EXTENSIONS.includes(protocol)) continue;
      const expected = protocol === 6 ? 'ok' : 'not-tcp';
      assert.equal(outcome(frame6(ipv6({ protocol }))), expected, String(protocol));
      assert.equal(outcome(frame6(ipv6({ protocol, extensions: [extension(60)] }))), expected);
    }
  });

  it('behind each plain extension header of every length decodes', () => {
    for (const type of [0, 43, 60, 135, 139, 140]) {
      for (const units of [0, 1, 2, 16, 254, 255]) {
        const payload = tcp({ sourcePort: 1000 + units });
        const decoded = observed(frame6(ipv6({ extensions: [extension(type, units)], payload })));
        assert.equal(decoded.sourcePort, 1000 + units, `type ${type}`);
        assert.equal(decoded.destinationPort, 25);
      }
    }
  });

  it('behind an authentication header counts that in words of 4 bytes', () => {
    for (const words of [0, 1, 2, 3, 4, 8, 16]) {
      const payload = tcp({ sourcePort: 2000 + words });
      const decoded = observed(frame6(ipv6({ extensions: [authentication(words)], payload })));
      assert.equal(decoded.sourcePort, 2000 + words, `${words} words`);
    }
  });

  it('behind a chain of all of them decodes', () => {
    const extensions = [
      extension(0),
      extension(60, 1),
      extension(43, 2),
      fragment(0, true),
      authentication(3),
      extension(60),
      extension(135, 1),
      extension(139, 4),
      extension(140),
    ];
    const decoded = observed(frame6(ipv6({ extensions, payload: tcp({ sourcePort: 4242 }) })));
    assert.equal(decoded.sourcePort, 4242);
    assert.equal(decoded.isSyn, true);
    assert.equal(formatAddress(decoded.destination), '2001:db8::25');
  });

  it('in fragments decodes from the first one only', () => {
    assert.equal(outcome(frame6(ipv6({ extensions: [fragment(0, true)] }))), 'ok');
    assert.equal(outcome(frame6(ipv6({ extensions: [fragment(0, false)] }))), 'ok');
    assert.equal(outcome(frame6(ipv6({ extensions: [fragment(1, false)] }))), 'fragment');
    assert.equal(outcome(frame6(ipv6({ extensions: [fragment(0x1fff, true)] }))), 'fragment');
    const behind = [extension(0), extension(43), fragment(5, true)];
    assert.equal(outcome(frame6(ipv6({ extensions: behind }))), 'fragment');
    assert.equal(outcome(frame6(ipv6({ extensions: [fragment(1, false)], protocol: 17 }))), 'fragment');
  });

  it('with reserved bits set in a first fragment decodes', () => {
    const first = fragment(0, true);
    first.bytes[3] = 0x07;
    assert.equal(outcome(frame6(ipv6({ extensions: [first] }))), 'ok');
  });

  it('may have 16 extension headers and no more', () => {
    const chain = (count: number) => Array.from({ length: count }, () => extension(60));
    assert.equal(outcome(frame6(ipv6({ extensions: chain(16) }))), 'ok');
    assert.equal(outcome(frame6(ipv6({ extensions: chain(17) }))), 'too-many-ipv6-extensions');
    assert.equal(outcome(frame6(ipv6({ extensions: chain(16), protocol: 17 }))), 'not-tcp');
    assert.equal(outcome(frame6(ipv6({ extensions: chain(2000) }))), 'too-many-ipv6-extensions');
    const fragments = Array.from({ length: 17 }, () => fragment(0, false));
    assert.equal(outcome(frame6(ipv6({ extensions: fragments }))), 'too-many-ipv6-extensions');
  });

  it('with an extension header that claims more than was captured is cut off', () => {
    const liar = extension(60);
    liar.bytes[1] = 255;
    assert.equal(outcome(frame6(ipv6({ extensions: [liar] }))), 'truncated-ipv6-extension');
    const authenticated = authentication(0);
    authenticated.bytes[1] = 255;
    assert.equal(outcome(frame6(ipv6({ extensions: [authenticated] }))), 'truncated-ipv6-extension');
  });

  it('with a payload length of 0 is a jumbogram and decodes', () => {
    assert.equal(outcome(frame6(ipv6({ payloadLength: 0 }))), 'ok');
    assert.equal(outcome(frame6(ipv6({ payloadLength: 0, extensions: [extension(0)] }))), 'ok');
  });

  it('with a payload length of less than its headers and a TCP header is short', () => {
    for (const [payloadLength, expected] of [
      [1, 'short-tcp'],
      [19, 'short-tcp'],
      [20, 'ok'],
      [65_535, 'ok'],
    ] as const) {
      assert.equal(outcome(frame6(ipv6({ payloadLength }))), expected, String(payloadLength));
    }
    const extensions = [extension(0), fragment(0, true)];
    for (const [payloadLength, expected] of [
      [4, 'short-tcp'],
      [16, 'short-tcp'],
      [35, 'short-tcp'],
      [36, 'ok'],
    ] as const) {
      assert.equal(outcome(frame6(ipv6({ payloadLength, extensions }))), expected, String(payloadLength));
    }
  });
});

describe('TCP', () => {
  it('with a data offset of less than 5 words is bad', () => {
    for (let dataOffset = 0; dataOffset <= 15; dataOffset++) {
      const expected = dataOffset < 5 ? 'bad-tcp' : 'ok';
      assert.equal(outcome(frame4(ipv4({ payload: tcp({ dataOffset }) }))), expected);
      assert.equal(outcome(frame6(ipv6({ payload: tcp({ dataOffset }) }))), expected);
    }
  });

  it('is a connection request if it has SYN and not ACK, whatever else it has', () => {
    for (let flags = 0; flags <= 255; flags++) {
      const decoded = observed(frame4(ipv4({ payload: tcp({ flags }) })));
      assert.equal(decoded.tcpFlags, flags);
      assert.equal(decoded.isSyn, (flags & 0x12) === 0x02);
    }
  });

  it('has flags with the numbers of RFC 9293', () => {
    assert.deepEqual(TcpFlag, { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 });
  });
});

it('actions, reasons and directions have the numbers of pfvar.h', () => {
  assert.deepEqual(Action, { NONE: -1, PASS: 0, DROP: 1, RDR: 8, MATCH: 12 });
  assert.deepEqual(PfReason, { MATCH: 0, IP_OPTION: 8 });
  assert.deepEqual(Direction, { UNKNOWN: -1, INOUT: 0, IN: 1, OUT: 2, FORWARD: 3 });
});

it('a failure is one frozen object for each reason', () => {
  const first = decode(frame4(ipv4({ protocol: 17 })));
  assert.equal(decode(frame4(ipv4({ protocol: 1 }))), first);
  assert.ok(Object.isFrozen(first));
  assert.ok(!(first instanceof Observation));
});
