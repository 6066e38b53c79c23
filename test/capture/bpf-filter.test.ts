import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type BpfProgram, compileBpfFilter, encodeBpfProgram } from '../../src/capture/bpf-filter.js';
import { SNAP_LENGTH } from '../../src/capture/tcpdump.js';
import type { Frame } from '../../src/packet/frame.js';
import { decode } from '../../src/packet/observation.js';
import { decodeProgram, isValidProgram, runProgram } from '../support/bpf-machine.js';
import {
  authentication,
  cutTo,
  extension,
  fragment,
  frame4,
  frame6,
  frameOf,
  type Ipv6Fields,
  ipv4,
  ipv6,
  join,
  pflogHeader,
  tcp,
} from '../support/frames.js';
import { framesOf, PFLOG_RECORDINGS } from '../support/recordings.js';

function program(expression: string): BpfProgram {
  const compiled = compileBpfFilter(expression);
  assert.ok(compiled !== undefined);
  return compiled;
}

const PORT_25 = program('port 25');

function accepts(frame: Frame, filter = PORT_25): boolean {
  const bytes = frame.data.subarray(frame.offset, frame.offset + frame.captureLength);
  const wanted = runProgram(filter, bytes);
  assert.ok(wanted === 0 || wanted === SNAP_LENGTH);
  return wanted > 0;
}

/** What a frame lets be read of its IP header, without regard to whether it makes sense. */
function peek({ data, offset, captureLength }: Frame): {
  protocol: number | undefined;
  hasExtensions: boolean;
} {
  const start = offset + (((data[offset] ?? 0) + 3) & ~3);
  const version = (data[start] ?? 0) >> 4;
  if (offset + captureLength - start < 24 || (version !== 4 && version !== 6)) {
    return { protocol: undefined, hasExtensions: false };
  }
  const protocol = data[start + (version === 4 ? 9 : 6)] ?? 0;
  return { protocol, hasExtensions: version === 6 && EXTENSIONS.includes(protocol) };
}

/** RFC 8200 and the registry of extension headers: hop-by-hop to shim6, without ESP. */
const EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140];
/** With these the ports can still be read, or both sides have a right to their opinion. */
const EITHER = [
  'short-tcp',
  'bad-tcp',
  'truncated-tcp',
  'bad-ipv4',
  'version-mismatch',
  'unknown-address-family',
];

/** By the decoder, which is written without regard to the filter; undefined: either is right. */
function shouldAccept(frame: Frame, port: number): boolean | undefined {
  const seen = decode(frame);
  const { protocol, hasExtensions } = peek(frame);
  if (!seen.ok && EITHER.includes(seen.reason)) return undefined;
  if (!seen.ok && seen.reason === 'bad-pflog-length') return true;
  if (hasExtensions) return true;
  if (protocol !== undefined && protocol !== 6) return false;
  return seen.ok ? seen.sourcePort === port || seen.destinationPort === port : true;
}

const SYNTHETIC = ['freebsd12', 'freebsd14', 'openbsd'].map((name) => `synthetic/synthetic-${name}.pcap.gz`);

describe('the filter "port 25", run over recordings', () => {
  for (const name of [...PFLOG_RECORDINGS, ...SYNTHETIC]) {
    it(`takes of ${name} what has that port, and what it cannot be sure about`, () => {
      const taken = { yes: 0, no: 0 };
      for (const frame of framesOf(name)) {
        const accepted = accepts(frame);
        const expected = shouldAccept(frame, 25);
        if (expected !== undefined) assert.equal(accepted, expected);
        taken[accepted ? 'yes' : 'no']++;
      }
      const others = OTHERS[name];
      if (others !== undefined) assert.equal(taken.no, others);
    });
  }

  /** Frames that have another port, counted by hand in the notes beside the recordings. */
  const OTHERS: Readonly<Record<string, number>> = {
    'pflog/01-block-v4-syn.pcap': 0,
    'pflog/09-udp-icmp.pcap': 4,
  };
});

describe('the filter "port 25 or port 8025"', () => {
  const both = program('port 25 or port 8025');

  it('takes what either of the two takes, of every recording', () => {
    const other = program('port 8025');
    for (const name of PFLOG_RECORDINGS) {
      for (const frame of framesOf(name)) {
        assert.equal(accepts(frame, both), accepts(frame) || accepts(frame, other), name);
      }
    }
  });

  it('takes the record of a stranger whom FreeBSD led to the other port', () => {
    const frames = framesOf('freebsd15/pflog/64-rdr-to.pcap');
    assert.deepEqual(
      frames.map((frame) => [accepts(frame), accepts(frame, both)]),
      [
        [true, true],
        [false, true],
      ],
    );
  });

  it('is a program that the kernel takes, with as many ports as there may be', () => {
    const most = Array.from({ length: 8 }, (_, i) => `port ${i + 1}`);
    assert.ok(isValidProgram(program(most.join(' or '))));
    assert.equal(compileBpfFilter([...most, 'port 9'].join(' or ')), undefined);
    assert.equal(compileBpfFilter('port 25 or'), undefined);
    assert.equal(compileBpfFilter('port 25 or port 65536'), undefined);
    assert.equal(compileBpfFilter('port 25 and port 26'), undefined);
  });
});

describe('the filter "port 25"', () => {
  for (const length of [45, 61, 69, 100, 255]) {
    const header = { length };
    it(`finds the port behind a header of ${length} bytes`, () => {
      assert.equal(accepts(frame4(ipv4(), header)), true);
      assert.equal(accepts(frame6(ipv6(), header)), true);
      const other = tcp({ destinationPort: 26, sourcePort: 24 });
      assert.equal(accepts(frame4(ipv4({ payload: other }), header)), false);
      assert.equal(accepts(frame6(ipv6({ payload: other }), header)), false);
      const answer = tcp({ sourcePort: 25, destinationPort: 40_000, flags: 0x12 });
      assert.equal(accepts(frame4(ipv4({ payload: answer }), header)), true);
      assert.equal(accepts(frame6(ipv6({ payload: answer }), header)), true);
    });
  }

  it('finds it behind options of IPv4', () => {
    for (let words = 1; words <= 10; words++) {
      const options = new Uint8Array(words * 4).fill(1);
      assert.equal(accepts(frame4(ipv4({ options }))), true);
      assert.equal(accepts(frame4(ipv4({ options, payload: tcp({ destinationPort: 587 }) }))), false);
    }
  });

  it('leaves out other protocols, even fragments of them', () => {
    for (const protocol of [1, 17, 47, 58, 132]) {
      assert.equal(accepts(frame4(ipv4({ protocol }))), false);
      assert.equal(accepts(frame4(ipv4({ protocol, fragmentOffset: 8 }))), false);
      assert.equal(accepts(frame6(ipv6({ protocol }))), false);
    }
  });

  it('takes fragments that have no ports; the first one has', () => {
    const other = tcp({ destinationPort: 587 });
    assert.equal(accepts(frame4(ipv4({ fragmentOffset: 1, payload: other }))), true);
    assert.equal(accepts(frame4(ipv4({ moreFragments: true, payload: other }))), false);
    assert.equal(accepts(frame4(ipv4({ moreFragments: true }))), true);
    assert.equal(accepts(frame6(ipv6({ extensions: [fragment(1, true)], payload: other }))), true);
  });

  it('takes whatever has an extension header of IPv6', () => {
    const chains: Ipv6Fields[] = [
      ...[0, 43, 60, 135, 139, 140].map((type) => ({ extensions: [extension(type)] })),
      { extensions: [fragment(0, false)] },
      { extensions: [authentication(3)] },
      { extensions: [extension(0), extension(60)], payload: tcp({ destinationPort: 587 }) },
    ];
    for (const fields of chains) assert.equal(accepts(frame6(ipv6(fields))), true);
  });

  it('takes what is cut before the ports, wherever', () => {
    for (const frame of [
      frame4(ipv4({ payload: tcp({ destinationPort: 587 }) })),
      frame4(ipv4({ options: new Uint8Array(8), payload: tcp({ destinationPort: 587 }) })),
      frame6(ipv6({ payload: tcp({ destinationPort: 587 }) })),
    ]) {
      const ports = frame.captureLength - 16;
      for (let length = 1; length < ports; length++)
        assert.equal(accepts(cutTo(frame, length)), true, `${length}`);
      for (let length = ports; length <= frame.captureLength; length++) {
        assert.equal(accepts(cutTo(frame, length)), false, `${length}`);
      }
    }
  });

  it('takes what makes no sense: a header of 44 bytes, IP version 5, an IPv4 header of 16 bytes', () => {
    const other = tcp({ destinationPort: 587 });
    assert.equal(
      accepts(frameOf(join(pflogHeader({ length: 44, size: 64 }), ipv4({ payload: other })))),
      true,
    );
    assert.equal(accepts(frame4(ipv4({ version: 5, payload: other }))), true);
    assert.equal(accepts(frame4(ipv4({ headerLength: 4, payload: other }))), true);
  });

  it('is never outwitted: what counts gets through, whatever the bytes', () => {
    const base = [
      frame4(),
      frame4(ipv4({ options: new Uint8Array(12) })),
      frame6(),
      frame6(ipv6(), { length: 100 }),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...base),
        fc.array(fc.tuple(fc.nat({ max: 170 }), fc.nat({ max: 255 })), { maxLength: 6 }),
        (frame, changes) => {
          const data = frame.data.slice();
          for (const [at, value] of changes) if (at < data.length) data[at] = value;
          const changed = frameOf(data);
          const expected = shouldAccept(changed, 25);
          if (expected !== undefined) assert.equal(accepts(changed), expected);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('a filter expression', () => {
  it('"port N" is known for every port', () => {
    for (const port of [0, 1, 24, 255, 256, 2525, 65_535]) {
      const filter = program(`port ${port}`);
      assert.equal(accepts(frame4(ipv4({ payload: tcp({ destinationPort: port }) })), filter), true);
      assert.equal(accepts(frame4(ipv4({ payload: tcp({ destinationPort: port ^ 1 }) })), filter), false);
    }
    assert.deepEqual(program('  port   25 '), PORT_25);
  });

  it('that is empty takes everything', () => {
    const all = program('');
    assert.equal(accepts(frame4(ipv4({ protocol: 17 })), all), true);
    assert.equal(accepts(frameOf(new Uint8Array(1)), all), true);
  });

  it('of another kind is not known', () => {
    for (const expression of [
      'port 65536',
      'port smtp',
      'port 25 and action block',
      'tcp port 25',
      'port',
      'port -1',
      'port 25\nor port 26',
      'action block',
    ]) {
      assert.equal(compileBpfFilter(expression), undefined, expression);
    }
  });
});

describe('a program', () => {
  it('is one that a kernel takes', () => {
    for (const expression of ['', 'port 25', 'port 65535'])
      assert.ok(isValidProgram(program(expression)), expression);
  });

  it('is encoded as an array of struct bpf_insn', () => {
    const instructions = [
      { code: 0x15, jumpTrue: 1, jumpFalse: 2, k: 0x01020304 },
      { code: 0x06, jumpTrue: 0, jumpFalse: 0, k: 256 },
    ];
    const little = [0x15, 0, 1, 2, 4, 3, 2, 1, 0x06, 0, 0, 0, 0, 1, 0, 0];
    assert.deepEqual([...encodeBpfProgram(instructions, true)], little);
    const big = [0, 0x15, 1, 2, 1, 2, 3, 4, 0, 0x06, 0, 0, 0, 0, 1, 0];
    assert.deepEqual([...encodeBpfProgram(instructions, false)], big);
    assert.deepEqual(decodeProgram(encodeBpfProgram(PORT_25, true)), PORT_25);
  });
});
