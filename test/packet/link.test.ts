import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LinkType } from '../../src/packet/frame.js';
import { formatAddress } from '../../src/packet/address.js';
import { decode, type Observation } from '../../src/packet/observation.js';
import { Action, Direction } from '../../src/packet/pflog.js';
import { cutTo, frameOf, ipv4, ipv6, join } from '../support/frames.js';

const MACS = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
const IP4 = [0x08, 0x00];
const IP6 = [0x86, 0xdd];
const TAG = [0x81, 0x00, 0x00, 0x05];

/** packet type, ARPHRD, address length, address, protocol */
function sll(protocol: readonly number[], packetType = 0, hardware = 1): Uint8Array {
  return Uint8Array.from([
    0,
    packetType,
    hardware >> 8,
    hardware & 255,
    0,
    6,
    ...MACS.slice(0, 8),
    ...protocol,
  ]);
}

/** protocol, reserved, interface, ARPHRD, packet type, address length, address */
function sll2(protocol: readonly number[], packetType = 0, hardware = 1): Uint8Array {
  const interfaceIndex = [0, 0, 0, 2];
  const rest = [hardware >> 8, hardware & 255, packetType, 6, ...MACS.slice(0, 8)];
  return Uint8Array.from([...protocol, 0, 0, ...interfaceIndex, ...rest]);
}

/** An attribute of netfilter's log, padded to 4. */
function attribute(type: number, value: Uint8Array, littleEndian = true): Uint8Array {
  const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
  if (littleEndian) bytes.writeUInt16LE(4 + value.length, 0);
  else bytes.writeUInt16BE(4 + value.length, 0);
  if (littleEndian) bytes.writeUInt16LE(type, 2);
  else bytes.writeUInt16BE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

/** family, version, resource; then the packet header with the hook, a prefix, the packet */
function nflog(packet: Uint8Array, hook: number, littleEndian = true): Uint8Array {
  return join(
    Uint8Array.of(2, 0, 0, 5),
    attribute(1, Uint8Array.of(8, 0, hook, 0), littleEndian),
    attribute(10, Buffer.from('mx:\0'), littleEndian),
    attribute(9, packet, littleEndian),
    attribute(4, Uint8Array.of(0, 0, 0, 2), littleEndian),
  );
}

const ethernet = (...type: number[]): Uint8Array => Uint8Array.from([...MACS, ...type]);
const LINKS = {
  ETHERNET: (packet: Uint8Array, type: readonly number[]) => join(ethernet(...type), packet),
  RAW: (packet: Uint8Array) => packet,
  LINUX_SLL: (packet: Uint8Array, type: readonly number[]) => join(sll(type), packet),
  LINUX_SLL2: (packet: Uint8Array, type: readonly number[]) => join(sll2(type), packet),
  NFLOG: (packet: Uint8Array) => nflog(packet, 1),
} as const;

function observed(bytes: Uint8Array, linkType: LinkType, littleEndian = true): Observation {
  const decoded = decode(frameOf(bytes, { linkType, littleEndian }));
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.reason);
  return decoded;
}

function reason(bytes: Uint8Array, linkType: LinkType): string {
  const decoded = decode(frameOf(bytes, { linkType }));
  return decoded.ok ? 'decoded' : decoded.reason;
}

describe('a SYN in a recording of a wire', () => {
  for (const [name, make] of Object.entries(LINKS)) {
    const linkType = LinkType[name as keyof typeof LINKS];

    it(`is found behind the header of ${name}, IPv4 and IPv6`, () => {
      const v4 = observed(make(ipv4({ source: '203.0.113.7', destination: '192.0.2.3' }), IP4), linkType);
      assert.equal(formatAddress(v4.source), '203.0.113.7');
      assert.equal(formatAddress(v4.destination), '192.0.2.3');
      assert.equal(v4.destinationPort, 25);
      assert.ok(v4.isSyn);
      assert.equal(v4.action, Action.NONE, 'nobody has decided about it');
      const v6 = observed(make(ipv6(), IP6), linkType);
      assert.equal(formatAddress(v6.source), '2001:db8::7');
    });

    it(`is not found in ${name} that is cut off, and nothing behind the cut is read`, () => {
      const whole = frameOf(make(ipv4(), IP4), { linkType });
      // the TCP flags are the fourteenth byte of the last 20, netfilter adds an attribute
      const needed = whole.captureLength - 6 - (name === 'NFLOG' ? 8 : 0);
      for (let length = 0; length < whole.captureLength; length++) {
        assert.equal(decode(cutTo(whole, length)).ok, length >= needed, `${length} bytes`);
      }
    });
  }

  it('is found behind tags of virtual networks, also two of them', () => {
    const outer = [0x88, 0xa8, 0x00, 0x64];
    assert.ok(observed(join(ethernet(...TAG, ...IP4), ipv4()), LinkType.ETHERNET).isSyn);
    assert.ok(observed(join(ethernet(...outer, ...TAG, ...IP6), ipv6()), LinkType.ETHERNET).isSyn);
    assert.ok(
      observed(join(sll([0x81, 0x00]), Uint8Array.of(0, 5, ...IP4), ipv4()), LinkType.LINUX_SLL).isSyn,
    );
    const endless = Array.from({ length: 9 }, () => TAG).flat();
    assert.equal(reason(join(ethernet(...endless, ...IP4), ipv4()), LinkType.ETHERNET), 'bad-link');
    assert.equal(reason(ethernet(...TAG.slice(0, 3)), LinkType.ETHERNET), 'truncated-link');
  });

  it('may be written with the number of DLT_RAW of FreeBSD or OpenBSD, or as IPv4 or IPv6 alone', () => {
    for (const linkType of [LinkType.RAW_FREEBSD, LinkType.RAW_OPENBSD, LinkType.IPV4]) {
      assert.ok(observed(ipv4(), linkType).isSyn);
    }
    assert.ok(observed(ipv6(), LinkType.IPV6).isSyn);
  });

  it('has a direction where the header tells one', () => {
    const direction = (bytes: Uint8Array, linkType: LinkType): number => observed(bytes, linkType).direction;
    const packet = ipv4();
    for (const [type, expected] of [
      [0, Direction.IN],
      [3, Direction.IN],
      [4, Direction.OUT],
    ] as const) {
      assert.equal(direction(join(sll(IP4, type), packet), LinkType.LINUX_SLL), expected);
      assert.equal(direction(join(sll2(IP4, type), packet), LinkType.LINUX_SLL2), expected);
    }
    for (const [hook, expected] of [
      [0, Direction.IN],
      [1, Direction.IN],
      [2, Direction.IN],
      [3, Direction.OUT],
      [4, Direction.OUT],
    ] as const) {
      assert.equal(direction(nflog(packet, hook), LinkType.NFLOG), expected);
    }
    assert.equal(direction(join(ethernet(...IP4), packet), LinkType.ETHERNET), Direction.UNKNOWN);
    assert.equal(direction(packet, LinkType.RAW), Direction.UNKNOWN);
  });

  it('may be netfilter’s log of a big endian machine', () => {
    assert.ok(observed(nflog(ipv4(), 1, false), LinkType.NFLOG, false).isSyn);
  });
});

describe('a frame that says nothing', () => {
  it('is of another protocol', () => {
    assert.equal(reason(join(ethernet(0x08, 0x06), new Uint8Array(46)), LinkType.ETHERNET), 'not-ip');
    assert.equal(reason(join(sll([0, 4]), new Uint8Array(46)), LinkType.LINUX_SLL), 'not-ip');
  });

  it('is of the machine with itself: the daemon does not judge such a one', () => {
    assert.equal(reason(join(sll(IP4, 0, 772), ipv4()), LinkType.LINUX_SLL), 'loopback');
    assert.equal(reason(join(sll2(IP4, 0, 772), ipv4()), LinkType.LINUX_SLL2), 'loopback');
  });

  it('has attributes of netfilter that make no sense, or no packet among them', () => {
    const head = Uint8Array.of(2, 0, 0, 5);
    assert.equal(reason(join(head, Uint8Array.of(3, 0, 9, 0)), LinkType.NFLOG), 'bad-link');
    assert.equal(reason(join(Uint8Array.of(2, 1, 0, 5), ipv4()), LinkType.NFLOG), 'bad-link');
    assert.equal(reason(join(head, attribute(10, Buffer.from('mx:\0'))), LinkType.NFLOG), 'truncated-link');
  });
});
