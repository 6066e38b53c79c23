import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type BpfDamage, type BpfFormat, splitBpfBuffer } from '../../src/capture/bpf-buffer.js';
import { formatAddress } from '../../src/packet/address.js';
import { LinkType } from '../../src/packet/frame.js';
import { decode } from '../../src/packet/observation.js';
import { bpfFormat, bpfFrames, bpfReads } from '../support/bpf-buffers.js';
import { frame4, frame6 } from '../support/frames.js';
import { keep, type KeptFrame } from '../support/frame-sink.js';

const FREEBSD = bpfFormat('freebsd', 'x64');
const OPENBSD = bpfFormat('openbsd', 'x64');

interface Split {
  readonly frames: KeptFrame[];
  readonly damage: BpfDamage | undefined;
}

function split(bytes: Uint8Array, format: BpfFormat, length = bytes.length): Split {
  const frames: KeptFrame[] = [];
  const damage = splitBpfBuffer(bytes, length, format, (frame) => frames.push(keep(frame)));
  return { frames, damage };
}

/** A recorded read, in memory that is larger, as the kernel's buffer is; what follows is 0xff. */
function splitRead(read: Uint8Array): Split {
  const memory = new Uint8Array(read.length + 4096).fill(0xff);
  memory.set(read);
  return split(memory, FREEBSD, read.length);
}

/** What a frame says, in a line. */
function line(frame: KeptFrame): string {
  const { bytes, ...rest } = frame;
  const seen = decode({ ...rest, data: bytes, offset: 0 });
  if (!seen.ok) return seen.reason;
  const address = `${formatAddress(seen.source)}.${seen.sourcePort} ${formatAddress(seen.destination)}.${seen.destinationPort}`;
  const flags = `flags ${seen.tcpFlags} action ${seen.action} direction ${seen.direction} on ${seen.interfaceName}`;
  return `${frame.timeMs.toFixed(3)} ${frame.captureLength}/${frame.originalLength} ${address} ${flags}`;
}

describe('what read(2) returned on FreeBSD/amd64', () => {
  it('in immediate mode: five SYNs in four reads', () => {
    const reads = bpfReads('immediate.raw').map(splitRead);
    assert.deepEqual(
      reads.map(({ frames }) => frames.length),
      [2, 1, 1, 1],
    );
    assert.deepEqual(
      reads.flatMap(({ frames }) => frames.map(line)),
      [
        '1795457661341.163 124/124 203.0.113.7.36338 192.168.1.3.25 flags 2 action 1 direction 1 on em0',
        '1795457661341.936 144/144 2001:db8::7.47145 2001:dead:beef::2.25 flags 2 action 1 direction 1 on em0',
        '1795457661808.236 124/124 203.0.113.9.36207 192.168.1.4.25 flags 2 action 1 direction 1 on em0',
        '1795457662280.535 144/144 2001:db8::9.49199 2001:dead:beef::1.25 flags 2 action 1 direction 1 on em0',
        '1795457665961.129 124/124 203.0.113.7.59847 192.168.1.3.25 flags 2 action 1 direction 1 on em0',
      ],
    );
    assert.ok(reads.every(({ damage }) => damage === undefined));
  });

  it('from a buffer of 4,096 bytes: all 122 that the kernel had counted', () => {
    const reads = bpfReads('buffered.raw').map(splitRead);
    assert.deepEqual(
      reads.map(({ frames }) => frames.length),
      [25, 25, 25, 25, 21, 1],
    );
    assert.ok(reads.every(({ damage }) => damage === undefined));
    const lines = reads.flatMap(({ frames }) => frames.map(line));
    assert.equal(
      lines[0],
      '1795457665961.129 124/124 203.0.113.7.59847 192.168.1.3.25 flags 2 action 1 direction 1 on em0',
    );
    assert.equal(
      lines[120],
      '1795457666560.945 124/124 203.0.0.120.63633 192.168.1.3.25 flags 2 action 1 direction 1 on em0',
    );
    assert.equal(
      lines[121],
      '1795457667709.571 144/144 2001:db8::7.19947 2001:dead:beef::2.25 flags 2 action 1 direction 1 on em0',
    );
    assert.ok(
      lines.every((text) =>
        /^\d+\.\d{3} 1[24]4\/1[24]4 \S+ \S+\.25 flags 2 action 1 direction 1 on em0$/.test(text),
      ),
    );
  });

  it('cut anywhere gives the frames before the cut, and says what is cut', () => {
    const read = bpfReads('buffered.raw')[0] ?? new Uint8Array(0);
    const whole = splitRead(read).frames;
    // 32 bytes of header and 124 of frame, padded to 160: the cut falls into one of 25
    for (let length = 0; length < read.length; length++) {
      const { frames, damage } = splitRead(read.subarray(0, length));
      const within = length % 160;
      const complete = Math.floor(length / 160) + (within >= 156 ? 1 : 0);
      assert.deepEqual(frames, whole.slice(0, complete));
      const isWhole = within === 0 || within >= 156;
      assert.equal(damage, isWhole ? undefined : within < 26 ? 'truncated-header' : 'truncated-frame');
    }
  });
});

const one = frame4();
const two = frame6();
/** a length that is no multiple of 4, so that padding shows */
const odd = frame4(Uint8Array.from([...one.data.subarray(64), 1, 2, 3]));

describe('a buffer made by hand', () => {
  const systems = [
    { name: 'OpenBSD', format: OPENBSD, headerLength: 28 },
    {
      name: 'OpenBSD/i386, whose header is 20 bytes',
      format: bpfFormat('openbsd', 'ia32'),
      headerLength: 20,
    },
    { name: 'FreeBSD', format: FREEBSD, headerLength: 32 },
    { name: 'FreeBSD/i386', format: bpfFormat('freebsd', 'ia32'), headerLength: 20 },
    { name: 'FreeBSD, big endian', format: bpfFormat('freebsd', 'ppc64', false), headerLength: 32 },
    { name: 'OpenBSD, big endian', format: bpfFormat('openbsd', 'ppc64', false), headerLength: 28 },
  ];
  for (const { name, format, headerLength } of systems) {
    it(`as ${name} has it gives its frames`, () => {
      const bytes = bpfFrames(format, headerLength, [
        { bytes: one.data, seconds: 1_700_000_000, microseconds: 999_999 },
        { bytes: odd.data, seconds: 4_294_967_295, microseconds: 0, originalLength: 1500 },
        { bytes: two.data, seconds: 1_700_000_001, microseconds: 1 },
      ]);
      const { frames, damage } = split(bytes, format);
      assert.equal(damage, undefined);
      const common = { linkType: LinkType.PFLOG, littleEndian: format.littleEndian };
      assert.deepEqual(frames, [
        {
          ...common,
          bytes: Buffer.from(one.data),
          captureLength: 104,
          originalLength: 104,
          timeMs: 1_700_000_000_999.999,
        },
        {
          ...common,
          bytes: Buffer.from(odd.data),
          captureLength: 107,
          originalLength: 1500,
          timeMs: 4_294_967_295_000,
        },
        {
          ...common,
          bytes: Buffer.from(two.data),
          captureLength: 124,
          originalLength: 124,
          timeMs: 1_700_000_001_000.001,
        },
      ]);
    });
  }

  it('as OpenBSD has it is this, byte by byte', () => {
    const bytes = Uint8Array.from([
      ...[0x00, 0xf1, 0x53, 0x65, 0x40, 0x42, 0x00, 0x00, 5, 0, 0, 0, 9, 0, 0, 0, 28, 0],
      ...[0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa],
      ...[1, 2, 3, 4, 5, 0xbb, 0xbb, 0xbb],
      ...[0x01, 0xf1, 0x53, 0x65, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 28, 0],
      ...[0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa],
      ...[6, 7],
    ]);
    const { frames, damage } = split(bytes, OPENBSD);
    assert.equal(damage, undefined);
    assert.deepEqual(
      frames.map(({ bytes: frame, captureLength, originalLength, timeMs }) => ({
        frame: [...frame],
        captureLength,
        originalLength,
        timeMs,
      })),
      [
        { frame: [1, 2, 3, 4, 5], captureLength: 5, originalLength: 9, timeMs: 1_700_000_000_016.96 },
        { frame: [6, 7], captureLength: 2, originalLength: 2, timeMs: 1_700_000_001_000.001 },
      ],
    );
  });

  it('of nothing gives nothing', () => {
    assert.deepEqual(split(new Uint8Array(100), OPENBSD, 0), { frames: [], damage: undefined });
  });

  it('is not believed to be longer than its memory', () => {
    const bytes = bpfFrames(OPENBSD, 28, [{ bytes: one.data, seconds: 1, microseconds: 1 }]);
    assert.deepEqual(split(bytes.subarray(0, 60), OPENBSD, 4096), { frames: [], damage: 'truncated-frame' });
  });
});

describe('a header that makes no sense', () => {
  const good = { bytes: one.data, seconds: 1_700_000_000, microseconds: 5 };
  const cases: readonly [string, BpfDamage, (view: DataView) => void][] = [
    ['a header length of 0', 'bad-header-length', (view) => view.setUint16(16, 0, true)],
    ['a header length shorter than the fields', 'bad-header-length', (view) => view.setUint16(16, 17, true)],
    ['a header length beyond the end', 'truncated-frame', (view) => view.setUint16(16, 0xffff, true)],
    ['more captured than there was', 'bad-capture-length', (view) => view.setUint32(8, 105, true)],
    [
      'a length of 4 GiB',
      'truncated-frame',
      (view) => {
        view.setUint32(8, 0xffffffff, true);
        view.setUint32(12, 0xffffffff, true);
      },
    ],
    [
      'a second of more than a million microseconds',
      'bad-time',
      (view) => view.setUint32(4, 1_000_000, true),
    ],
  ];
  for (const [name, damage, change] of cases) {
    it(`(${name}) ends the buffer; the frame before it counts`, () => {
      const bytes = bpfFrames(OPENBSD, 28, [good, good, good]);
      // 28 + 104: no padding
      change(new DataView(bytes.buffer, 132));
      const result = split(bytes, OPENBSD);
      assert.equal(result.damage, damage);
      assert.equal(result.frames.length, 1);
      assert.deepEqual([...(result.frames[0]?.bytes ?? [])], [...one.data]);
    });
  }

  it('ends a buffer of FreeBSD, too, where its time is negative or its upper half is not 0', () => {
    for (const [at, value] of [
      [8, -1],
      [12, 1],
    ] as const) {
      const bytes = bpfFrames(FREEBSD, 32, [good]);
      new DataView(bytes.buffer).setInt32(at, value, true);
      if (value < 0) new DataView(bytes.buffer).setInt32(12, -1, true);
      assert.deepEqual(split(bytes, FREEBSD), { frames: [], damage: 'bad-time' });
    }
  });
});

describe('any bytes', () => {
  const formats = [FREEBSD, OPENBSD, bpfFormat('freebsd', 'ia32'), bpfFormat('freebsd', 'ppc64', false)];

  it('are split without an exception, into frames that lie within them, one behind the other', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...formats),
        fc.uint8Array({ maxLength: 400 }),
        fc.nat({ max: 500 }),
        (format, bytes, length) => {
          let before = 0;
          splitBpfBuffer(bytes, length, format, ({ offset, captureLength }) => {
            assert.ok(offset >= before + format.layout.fieldBytes);
            before = offset + captureLength;
            assert.ok(before <= Math.min(length, bytes.length));
          });
        },
      ),
    );
  });

  it('in place of some of a good buffer lose nothing that lies before them', () => {
    const frames = [one, odd, two, one].map(({ data }, index) => ({
      bytes: data,
      seconds: index,
      microseconds: index,
    }));
    for (const format of [FREEBSD, OPENBSD]) {
      const headerLength = format === FREEBSD ? 32 : 28;
      const bytes = bpfFrames(format, headerLength, frames);
      const ends: number[] = [];
      splitBpfBuffer(bytes, bytes.length, format, (frame) => ends.push(frame.offset + frame.captureLength));
      const whole = split(bytes, format).frames;
      fc.assert(
        fc.property(
          fc.nat({ max: bytes.length - 1 }),
          fc.uint8Array({ minLength: 1, maxLength: 40 }),
          (at, noise) => {
            const damaged = bytes.slice();
            damaged.set(noise.subarray(0, damaged.length - at), at);
            const untouched = ends.filter((end) => end <= at).length;
            assert.deepEqual(split(damaged, format).frames.slice(0, untouched), whole.slice(0, untouched));
          },
        ),
      );
    }
  });
});
