import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { SavefileParser } from '../../src/capture/savefile-parser.js';
import { SavefileSource } from '../../src/capture/savefile.js';
import { CaptureError } from '../../src/capture/source.js';
import { decode } from '../../src/packet/observation.js';
import { type KeptFrame, keep, KeepingSink } from '../support/frame-sink.js';
import { frame4, frame6 } from '../support/frames.js';
import { ETHERNET_RECORDING, fixturePath, PFLOG_RECORDINGS, readRecording } from '../support/recordings.js';
import { pcapFile, PcapngWriter, rewritePcap } from '../support/savefiles.js';

const directory = mkdtempSync(join(tmpdir(), 'savefile-test-'));
after(() => rmSync(directory, { recursive: true }));

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

const SYN4 = frame4().data;
const SYN6 = frame6().data;

/** Parses a whole file in chunks of the lengths that `lengths` gives (the last one again and again). */
function parse(
  file: Uint8Array,
  lengths: readonly number[] = [file.length],
): { frames: KeptFrame[]; cut: number } {
  const frames: KeptFrame[] = [];
  const parser = new SavefileParser('a file', (frame) => frames.push(keep(frame)));
  let index = 0;
  for (let at = 0; at < file.length; index++) {
    const length = Math.max(1, lengths[Math.min(index, lengths.length - 1)] ?? 1);
    // a copy, as a stream may reuse its buffers
    parser.push(Buffer.from(file.subarray(at, at + length)));
    at += length;
  }
  return { frames, cut: parser.finish() };
}

/** What parsing fails with. */
function refusal(file: Uint8Array): CaptureError {
  let refused: unknown;
  try {
    parse(file);
  } catch (error) {
    refused = error;
  }
  assert.ok(refused instanceof CaptureError);
  return refused;
}

function timesOf(frames: readonly KeptFrame[]): number[] {
  return frames.map((frame) => Math.round(frame.timeMs * 1000));
}

/** Opens a source and waits for its end or error. */
async function readAll(path: string): Promise<{ sink: KeepingSink; source: SavefileSource }> {
  const sink = new KeepingSink();
  const source = new SavefileSource(path);
  await source.open(sink);
  await sink.ending();
  return { sink, source };
}

describe('a pcap savefile', () => {
  const small = PFLOG_RECORDINGS.filter((name) => !name.endsWith('.gz'));

  for (const littleEndian of [true, false]) {
    for (const nanoseconds of [true, false]) {
      it(`in ${littleEndian ? 'little' : 'big'} endian and ${nanoseconds ? 'nano' : 'micro'}seconds has the same frames`, () => {
        for (const name of small) {
          const original = readRecording(name);
          const expected = parse(original).frames.map((frame) => ({ ...frame, littleEndian }));
          const rewritten = rewritePcap(original, { littleEndian, nanoseconds });
          assert.equal(rewritten.equals(original), littleEndian && !nanoseconds);
          assert.deepEqual(parse(rewritten), { frames: expected, cut: 0 }, name);
        }
      });
    }
  }

  it('in nanoseconds is precise to a microsecond', () => {
    const record = { bytes: SYN4, seconds: 1_795_456_517, fraction: 308_216_999 };
    const [frame] = parse(pcapFile([record], { nanoseconds: true })).frames;
    assert.ok(frame !== undefined);
    assert.ok(Math.abs(frame.timeMs - 1_795_456_517_308.217) < 0.001);
  });

  it('has times after 2038 and up to 2106', () => {
    const records = [2 ** 31, 2 ** 32 - 1].map((seconds) => ({ bytes: SYN4, seconds, fraction: 999_999 }));
    assert.deepEqual(timesOf(parse(pcapFile(records)).frames), [2147483648_999999, 4294967295_999999]);
  });

  it('tells the captured length from the original one', () => {
    const records = [{ bytes: SYN4.subarray(0, 98), originalLength: 1564 }, { bytes: new Uint8Array(0) }];
    const [cut, empty] = parse(pcapFile(records)).frames;
    assert.equal(cut?.captureLength, 98);
    assert.equal(cut?.originalLength, 1564);
    assert.equal(empty?.captureLength, 0);
  });

  it('of link type 17 is read, whatever is in the upper half of that field', () => {
    const [frame] = parse(pcapFile([{ bytes: SYN4 }], { linkType: 17 })).frames;
    assert.equal(frame?.linkType, 17);
    const [other] = parse(pcapFile([{ bytes: SYN4 }], { linkType: 0xf0010075 })).frames;
    assert.equal(other?.linkType, 117);
  });

  it('without records is no error', () => {
    assert.deepEqual(parse(pcapFile([])), { frames: [], cut: 0 });
  });

  it('of version 1 or 3 is refused, in both byte orders', () => {
    for (const littleEndian of [true, false]) {
      for (const majorVersion of [1, 3, 512]) {
        const error = refusal(pcapFile([], { majorVersion, littleEndian }));
        assert.equal(error.message, `a file: pcap version ${majorVersion}, expected 2`);
        assert.equal(error.kind, 'data');
      }
    }
  });

  it('with a record of more than a mebibyte is damaged, and what came before is used', () => {
    const frames: KeptFrame[] = [];
    const parser = new SavefileParser('a file', (frame) => frames.push(keep(frame)));
    const file = pcapFile([{ bytes: SYN4 }, { bytes: SYN4, captureLength: 1_048_577 }]);
    assert.throws(() => parser.push(file), {
      name: 'CaptureError',
      message: 'a file: damaged: a record of 1048577 bytes, at most 1048576 expected',
      kind: 'data',
    });
    assert.equal(frames.length, 1);
    const largest = Buffer.alloc(1_048_576);
    assert.equal(parse(pcapFile([{ bytes: largest }])).frames[0]?.captureLength, 1_048_576);
  });
});

describe('a savefile that is none', () => {
  for (const [what, bytes, message] of [
    ['an empty one', '', 'a file: empty, not a savefile'],
    ['one byte', 'd4', 'a file: only 1 byte, not a savefile'],
    ['three bytes', 'd4c3b2', 'a file: only 3 bytes, not a savefile'],
    [
      'a header cut short',
      'd4c3b2a102000400000000000000000000000400750000',
      'a file: only 23 bytes, not a savefile',
    ],
    ['a gzip file', '1f8b080000000000', 'a file: begins with 1f8b0800, not a pcap or pcapng savefile'],
    ['text', '68656c6c6f', 'a file: begins with 68656c6c, not a pcap or pcapng savefile'],
    ["Kuznetzov's pcap", '34cdb2a102000400', 'a file: begins with 34cdb2a1, not a pcap or pcapng savefile'],
    ['zeros', '00000000', 'a file: begins with 00000000, not a pcap or pcapng savefile'],
  ] as const) {
    it(`is refused by what it is: ${what}`, () => {
      const error = refusal(Buffer.from(bytes, 'hex'));
      assert.equal(error.message, message);
      assert.equal(error.kind, 'data');
    });
  }

  it('is refused by the name of its link type', () => {
    const expected = (number: number, name: string): string =>
      `a file: link type ${number}${name}, expected 117 PFLOG: not a recording of a pflog interface`;
    for (const [linkType, name] of [
      [0, ' NULL (BSD loopback)'],
      [1, ' ETHERNET'],
      [12, ' RAW'],
      [14, ' RAW'],
      [101, ' RAW'],
      [105, ' IEEE802_11'],
      [108, ' LOOP (OpenBSD loopback)'],
      [109, ' ENC'],
      [113, ' LINUX_SLL'],
      [121, ' PFSYNC'],
      [228, ' IPV4'],
      [229, ' IPV6'],
      [239, ' NFLOG'],
      [246, ' PFSYNC'],
      [276, ' LINUX_SLL2'],
      [147, ''],
    ] as const) {
      assert.equal(refusal(pcapFile([], { linkType })).message, expected(linkType, name));
      assert.equal(
        refusal(pcapFile([], { linkType, littleEndian: false })).message,
        expected(linkType, name),
      );
      const writer = new PcapngWriter();
      const file = Buffer.concat([
        writer.section(),
        writer.interface(linkType),
        writer.enhanced(0, 0n, SYN4),
      ]);
      assert.equal(refusal(file).message, expected(linkType, name));
    }
  });
});

/** A pcapng file with everything that has frames, and blocks that have none between them. */
function manyBlocks(writer: PcapngWriter): Buffer {
  return Buffer.concat([
    writer.section(),
    writer.block(5, Buffer.alloc(12)),
    writer.interface(117, 0, [{ code: 2, value: Buffer.from('pflog0') }]),
    writer.enhanced(0, 1_795_456_517_308_216n, SYN4),
    writer.block(4, Buffer.alloc(5, 0xff)),
    writer.interface(17, 0, [
      { code: 3, value: Buffer.from('odd') },
      { code: 2, value: Buffer.from('even') },
      writer.resolution(9),
    ]),
    writer.enhanced(1, 1_795_456_517_308_217_000n, SYN6, 2000),
    writer.packet(0, 1_795_456_517_308_218n, SYN6),
    writer.simple(SYN4),
    writer.block(0x80001234, Buffer.alloc(0)),
    writer.enhanced(0, 1_795_456_517_308_219n, SYN6.subarray(0, 117)),
  ]);
}

describe('a pcapng savefile', () => {
  for (const littleEndian of [true, false]) {
    const writer = new PcapngWriter(littleEndian);
    const order = littleEndian ? 'little' : 'big';

    it(`in ${order} endian has enhanced, simple and obsolete packet blocks, among others`, () => {
      const { frames, cut } = parse(manyBlocks(writer));
      assert.equal(cut, 0);
      const micros = 1_795_456_517_308_216;
      assert.deepEqual(timesOf(frames), [micros, micros + 1, micros + 2, micros + 2, micros + 3]);
      assert.deepEqual(
        frames.map(({ bytes, linkType, captureLength, originalLength, littleEndian: little }) => ({
          bytes: Buffer.from(bytes).toString('hex'),
          linkType,
          lengths: `${captureLength} of ${originalLength}`,
          little,
        })),
        (
          [
            [SYN4, 117, '104 of 104'],
            [SYN6, 17, '124 of 2000'],
            [SYN6, 117, '124 of 124'],
            [SYN4, 117, '104 of 104'],
            [SYN6.subarray(0, 117), 117, '117 of 117'],
          ] as const
        ).map(([bytes, linkType, lengths]) => ({
          bytes: Buffer.from(bytes).toString('hex'),
          linkType,
          lengths,
          little: littleEndian,
        })),
      );
    });

    it(`in ${order} endian has times in any resolution`, () => {
      const seconds = 1_795_456_517n;
      for (const [resolution, ticks] of [
        [0, seconds],
        [3, seconds * 1000n + 500n],
        [6, seconds * 1_000_000n + 500_000n],
        [9, seconds * 1_000_000_000n + 500_000_000n],
        [0x80, seconds],
        [0x80 | 1, seconds * 2n + 1n],
        [0x80 | 20, (seconds << 20n) + (1n << 19n)],
        [0x80 | 32, (seconds << 32n) + (1n << 31n)],
      ] as const) {
        const file = [writer.section(), writer.interface(117, 0, [writer.resolution(resolution)])];
        const [frame] = parse(Buffer.concat([...file, writer.enhanced(0, ticks, SYN4)])).frames;
        const half = resolution === 0 || resolution === 0x80 ? 0 : 500_000;
        assert.equal(Math.round((frame?.timeMs ?? 0) * 1000), 1795456517_000000 + half, `${resolution}`);
      }
    });

    it(`in ${order} endian adds the time offset of the interface, which may be negative`, () => {
      for (const [offset, expected] of [
        [1_795_456_000n, 1795456517_308216],
        [-17n, 500_308216],
      ] as const) {
        const options = [writer.timeOffset(offset), writer.resolution(6)];
        const file = [
          writer.section(),
          writer.interface(117, 0, options),
          writer.enhanced(0, 517_308_216n, SYN4),
        ];
        assert.deepEqual(timesOf(parse(Buffer.concat(file)).frames), [expected]);
      }
    });
  }

  const writer = new PcapngWriter();
  const section = writer.section();
  const pflog = writer.interface();

  it('reads no options after the end of options, nor one that does not fit', () => {
    const after = [{ code: 0, value: new Uint8Array(0) }, writer.resolution(0)];
    const file = [section, writer.interface(117, 0, after), writer.enhanced(0, 1_000_000n, SYN4)];
    assert.deepEqual(timesOf(parse(Buffer.concat(file)).frames), [1_000_000]);
    const body = Buffer.from('7500000000000000090000ff00000000', 'hex');
    const broken = [section, writer.block(1, body), writer.enhanced(0, 1_000_000n, SYN4)];
    assert.deepEqual(timesOf(parse(Buffer.concat(broken)).frames), [1_000_000]);
  });

  it('takes an option that ends with its block, and none that goes on behind it', () => {
    const milliseconds = Buffer.from('7500000000000000' + '09000100' + '03000000', 'hex');
    const file = [section, writer.block(1, milliseconds)];
    assert.deepEqual(parse(Buffer.concat(file)), { frames: [], cut: 0 });
    assert.deepEqual(timesOf(parse(Buffer.concat([...file, writer.enhanced(0, 7n, SYN4)])).frames), [7000]);
    const aSecondLater = Buffer.from('7500000000000000' + '0e000800' + '0100000000000000', 'hex');
    const later = [section, writer.block(1, aSecondLater), writer.enhanced(0, 7n, SYN4)];
    assert.deepEqual(timesOf(parse(Buffer.concat(later)).frames), [1_000_007]);
    const halfAnOffset = Buffer.from('7500000000000000' + '0e000800' + '01000000', 'hex');
    const broken = [section, writer.block(1, halfAnOffset)];
    assert.deepEqual(timesOf(parse(Buffer.concat([...broken, writer.enhanced(0, 7n, SYN4)])).frames), [7]);
  });

  it('takes no resolution or offset of a wrong length', () => {
    const options = [
      { code: 9, value: Uint8Array.of(9, 9) },
      { code: 14, value: new Uint8Array(4).fill(1) },
    ];
    const file = [section, writer.interface(117, 0, options), writer.enhanced(0, 1_000_000n, SYN4)];
    assert.deepEqual(timesOf(parse(Buffer.concat(file)).frames), [1_000_000]);
  });

  it('may have packets without bytes, and a simple one before any time is known', () => {
    const file = [section, pflog, writer.simple(new Uint8Array(0)), writer.block(6, Buffer.alloc(20))];
    const { frames } = parse(Buffer.concat(file));
    assert.deepEqual(
      frames.map((frame) => [frame.captureLength, frame.timeMs]),
      [
        [0, 0],
        [0, 0],
      ],
    );
  });

  it('may have blocks of up to a mebibyte and 64 KiB', () => {
    const largest = (1 << 20) + (1 << 16);
    const file = [section, pflog, writer.block(5, Buffer.alloc(largest - 12)), writer.enhanced(0, 7n, SYN4)];
    assert.equal(parse(Buffer.concat(file)).frames.length, 1);
    const larger = Buffer.concat([section, writer.block(5, Buffer.alloc(largest - 8))]);
    assert.equal(refusal(larger).message, 'a file: damaged: a block of 1114116 bytes');
  });

  it('cuts a simple packet to the snap length of the first interface', () => {
    const file = [section, writer.interface(117, 98), writer.interface(117, 10)];
    const [frame] = parse(Buffer.concat([...file, writer.simple(SYN4.subarray(0, 98), 1500)])).frames;
    assert.equal(frame?.captureLength, 98);
    assert.equal(frame?.originalLength, 1500);
    const [whole] = parse(Buffer.concat([...file, writer.simple(SYN4.subarray(0, 60))])).frames;
    assert.equal(whole?.captureLength, 60);
  });

  it('begins anew with each section, which may be of the other byte order', () => {
    const other = new PcapngWriter(false);
    const file = Buffer.concat([
      section,
      writer.interface(17),
      writer.enhanced(0, 1n, SYN4),
      other.section(),
      other.interface(117, 0, [other.resolution(9)]),
      other.enhanced(0, 2000n, SYN6),
      section,
      pflog,
      writer.enhanced(0, 3n, SYN4),
    ]);
    const { frames } = parse(file);
    assert.deepEqual(timesOf(frames), [1, 2, 3]);
    assert.deepEqual(
      frames.map((frame) => [frame.linkType, frame.littleEndian]),
      [
        [17, true],
        [117, false],
        [117, true],
      ],
    );
    const forgotten = Buffer.concat([section, pflog, other.section(), other.enhanced(0, 1n, SYN4)]);
    assert.match(refusal(forgotten).message, /a packet of interface 0, which is not described/);
  });

  for (const [what, file, message] of [
    [
      'a packet of an unknown interface',
      [section, pflog, writer.enhanced(1, 0n, SYN4)],
      'a packet of interface 1, which is not described',
    ],
    [
      'an obsolete packet of an unknown interface',
      [section, pflog, writer.packet(1, 0n, SYN4)],
      'a packet of interface 1, which is not described',
    ],
    ['a simple packet without an interface', [section, writer.simple(SYN4)], 'a packet before any interface'],
    ['a block of 8 bytes', [section, writer.block(5, Buffer.alloc(0), 8)], 'a block of 8 bytes'],
    ['a block of 13 bytes', [section, writer.block(5, Buffer.alloc(4), 13)], 'a block of 13 bytes'],
    ['a block of 2 MiB', [section, writer.block(5, Buffer.alloc(4), 2 << 20)], 'a block of 2097152 bytes'],
    [
      'a block of 4 GiB',
      [section, writer.block(6, Buffer.alloc(4), 0xfffffffc)],
      'a block of 4294967292 bytes',
    ],
    ['a section without byte order mark', [writer.section(0x12345678)], 'a section without byte order mark'],
    [
      'an interface too short',
      [section, writer.block(1, Buffer.alloc(4))],
      'a block of type 1 with only 16 bytes',
    ],
    [
      'an interface without a body',
      [section, writer.block(1, Buffer.alloc(0))],
      'a block of type 1 with only 12 bytes',
    ],
    [
      'an enhanced packet without a body',
      [section, pflog, writer.block(6, Buffer.alloc(0))],
      'a block of type 6 with only 12 bytes',
    ],
    [
      'an obsolete packet without a body',
      [section, pflog, writer.block(2, Buffer.alloc(0))],
      'a block of type 2 with only 12 bytes',
    ],
    [
      'an enhanced packet too short',
      [section, pflog, writer.block(6, Buffer.alloc(16))],
      'a block of type 6 with only 28 bytes',
    ],
    [
      'a simple packet too short',
      [section, pflog, writer.block(3, Buffer.alloc(0))],
      'a block of type 3 with only 12 bytes',
    ],
  ] as const) {
    it(`is damaged by ${what}`, () => {
      const error = refusal(Buffer.concat(file));
      assert.equal(error.message, `a file: damaged: ${message}`);
      assert.equal(error.kind, 'data');
    });
  }

  it('is damaged by a packet that is longer than its block, by one byte', () => {
    const bytes = Buffer.alloc(100);
    for (const block of [writer.enhanced(0, 0n, bytes), writer.packet(0, 0n, bytes)]) {
      const bodyLength = block.length - 12 - 20;
      block.writeUInt32LE(bodyLength, 20);
      const file = Buffer.concat([section, pflog, block]);
      assert.equal(parse(file).frames[0]?.captureLength, bodyLength);
      block.writeUInt32LE(bodyLength + 1, 20);
      assert.match(
        refusal(Buffer.concat([section, pflog, block])).message,
        /^a file: damaged: a block of type/,
      );
    }
    const simple = writer.simple(bytes);
    simple.writeUInt32LE(101, 8);
    assert.match(
      refusal(Buffer.concat([section, pflog, simple])).message,
      /^a file: damaged: a block of type 3/,
    );
  });
});

describe('a savefile in chunks', () => {
  const recording = readRecording('pflog/10-nonsyn-blocked.pcap');
  const files: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['pcap', recording],
    ['pcap in big endian nanoseconds', rewritePcap(recording, { littleEndian: false, nanoseconds: true })],
    ['pcapng', manyBlocks(new PcapngWriter())],
    ['pcapng in big endian', manyBlocks(new PcapngWriter(false))],
  ];

  for (const [name, bytes] of files) {
    it(`of one byte each has the same frames (${name})`, () => {
      assert.deepEqual(parse(bytes, [1]), parse(bytes));
    });

    it(`of any lengths has the same frames (${name})`, () => {
      const whole = parse(bytes);
      const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 });
      fc.assert(
        fc.property(lengths, (chunks) => assert.deepEqual(parse(bytes, chunks), whole)),
        { numRuns: 200 },
      );
    });

    it(`and cut off anywhere has the frames before the cut, and says what is left (${name})`, () => {
      const { frames } = parse(bytes);
      let most = 0;
      for (let length = 28; length <= bytes.length; length++) {
        const { frames: some, cut } = parse(bytes.subarray(0, length));
        assert.deepEqual(some, frames.slice(0, some.length));
        assert.ok(some.length === most || some.length === most + 1);
        assert.ok(some.length === most || cut === 0);
        most = some.length;
      }
      assert.equal(most, frames.length);
    });
  }
});

describe('a savefile as a source', () => {
  it('gives every frame of the 20,000 in a gzipped one, and the end', async () => {
    const { sink, source } = await readAll(fixturePath('pflog/30-burst-20000-rate4000.pcap.gz'));
    assert.deepEqual(sink.endings, ['end']);
    assert.equal(sink.frames.length, 20_000);
    assert.deepEqual(source.statistics(), { received: 20_000, dropped: undefined });
    assert.deepEqual(sink.frames, parse(readRecording('pflog/30-burst-20000-rate4000.pcap.gz')).frames);
    assert.deepEqual(sink.notices, []);
    await source.close();
  });

  it('gives the frames of an unzipped one, named in its description', async () => {
    const path = fixturePath('pflog/10-nonsyn-blocked.pcap');
    const { sink, source } = await readAll(path);
    assert.deepEqual(sink.endings, ['end']);
    assert.deepEqual(sink.frames, parse(readRecording('pflog/10-nonsyn-blocked.pcap')).frames);
    assert.equal(source.description, `savefile ${path}`);
  });

  it('uses what is there of one that was cut off, and says so', async () => {
    const whole = readRecording('pflog/01-block-v4-syn.pcap');
    const path = fileOf('cut.pcap', whole.subarray(0, whole.length - 24));
    const { sink } = await readAll(path);
    assert.equal(sink.frames.length, 2);
    assert.deepEqual(sink.notices, [
      {
        text: `${path}: the last record is cut off (116 bytes of it are there); the rest was used`,
        severity: 'warning',
      },
    ]);
    assert.deepEqual(sink.endings, ['end']);
  });

  it('says so, too, where a single byte of the last record is there', async () => {
    const whole = readRecording('pflog/01-block-v4-syn.pcap');
    const { sink } = await readAll(fileOf('one-byte-more.pcap', Buffer.concat([whole, Buffer.alloc(1)])));
    assert.equal(sink.frames.length, 3);
    assert.match(sink.notices[0]?.text ?? '', /cut off \(1 byte of it is there\); the rest was used$/);
  });

  it('is refused where a file is empty, or none at all', async () => {
    for (const [name, bytes, message] of [
      ['empty.pcap', '', 'empty, not a savefile'],
      ['short.pcap', 'd4c3b2a1', 'only 4 bytes, not a savefile'],
      ['text.pcap', '68656c6c6f', 'begins with 68656c6c, not a pcap or pcapng savefile'],
    ] as const) {
      const path = fileOf(name, Buffer.from(bytes, 'hex'));
      const { sink } = await readAll(path);
      const [error] = sink.endings;
      assert.ok(error instanceof CaptureError);
      assert.equal(error.message, `${path}: ${message}`);
      assert.equal(error.kind, 'data');
      assert.equal(sink.endings.length, 1);
    }
  });

  it('of Ethernet is read: the caller of a recording takes what a wire has', async () => {
    const { sink } = await readAll(fixturePath(ETHERNET_RECORDING));
    assert.deepEqual(sink.endings, ['end']);
    assert.equal(sink.frames.length, 10);
    assert.ok(sink.frames.every(({ linkType }) => linkType === 1));
  });

  it('that is damaged in the middle gives an error after the frames before it, and nothing more', async () => {
    const records = [{ bytes: SYN4 }, { bytes: SYN6 }, { bytes: SYN4, captureLength: 0xffffffff }];
    const { sink } = await readAll(fileOf('damaged.pcap', pcapFile(records)));
    assert.equal(sink.frames.length, 2);
    assert.match(String(sink.endings[0]), /damaged: a record of 4294967295 bytes/);
    assert.equal(sink.endings.length, 1);
  });

  it('that is not there cannot be opened', async () => {
    const path = join(directory, 'missing.pcap');
    await assert.rejects(new SavefileSource(path).open(new KeepingSink()), {
      name: 'CaptureError',
      message: `${path}: there is no such file`,
      kind: 'input',
    });
  });

  it('that is a directory gives an error that names it', async () => {
    for (const name of ['directory.pcap', 'directory.pcap.gz']) {
      const path = join(directory, name);
      mkdirSync(path);
      const { sink } = await readAll(path);
      const [error] = sink.endings;
      assert.ok(error instanceof CaptureError);
      assert.equal(error.message, `${path}: it is a folder, not a file`);
      assert.equal(error.kind, 'input');
    }
  });

  it('that is gzipped and cut off gives an error that names it', async () => {
    const zipped = gzipSync(readRecording('pflog/10-nonsyn-blocked.pcap'));
    const path = fileOf('cut.pcap.gz', zipped.subarray(0, zipped.length - 20));
    const { sink } = await readAll(path);
    const [error] = sink.endings;
    assert.ok(error instanceof CaptureError);
    assert.equal(error.message, `${path}: gzip: unexpected end of file; what came before was used`);
    assert.equal(error.kind, 'data');
  });

  it('that is not gzipped though its name says so gives an error', async () => {
    const { sink } = await readAll(fileOf('plain.pcap.gz', pcapFile([{ bytes: SYN4 }])));
    assert.match(String(sink.endings[0]), /plain\.pcap\.gz: gzip: incorrect header check$/);
  });

  it('gives no frame and no end once it has been closed in the middle', async () => {
    const path = fixturePath('pflog/30-burst-20000-rate4000.pcap.gz');
    const source = new SavefileSource(path);
    let closed: Promise<number> | undefined;
    const sink = new KeepingSink((count) => {
      if (count === 3) closed = source.close().then(() => sink.frames.length);
    });
    await source.open(sink);
    await sink.until(() => closed !== undefined);
    const frames = await closed;
    assert.ok(frames !== undefined && frames >= 3 && frames < 20_000);
    // another source reads the whole file meanwhile: the first one had its chance
    await readAll(path);
    assert.equal(sink.frames.length, frames);
    assert.deepEqual(sink.endings, []);
    await source.close();
  });

  it('may be closed before it is opened, and twice', async () => {
    const source = new SavefileSource(fixturePath('pflog/10-nonsyn-blocked.pcap'));
    await source.close();
    await source.close();
  });

  it('may be a FIFO that another process writes to', { skip: process.platform === 'win32' }, async () => {
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', [path]);
    const recording = fixturePath('pflog/10-nonsyn-blocked.pcap');
    const writer = spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', recording, path], { stdio: 'ignore' });
    const exited = new Promise((resolve) => writer.once('close', resolve));
    const { sink, source } = await readAll(path);
    assert.equal(await exited, 0);
    assert.deepEqual(sink.endings, ['end']);
    assert.deepEqual(sink.frames, parse(readRecording('pflog/10-nonsyn-blocked.pcap')).frames);
    assert.equal(source.statistics().received, 18);
  });

  it(
    'gives the frames of a FIFO while it is still being written',
    { skip: process.platform === 'win32' },
    async () => {
      const path = join(directory, 'slow-fifo');
      execFileSync('mkfifo', [path]);
      const script = 'exec 3> "$1"; cat "$2" >&3; read answer';
      const recording = fixturePath('pflog/10-nonsyn-blocked.pcap');
      const writer = spawn('sh', ['-c', script, 'sh', path, recording], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const sink = new KeepingSink();
      const source = new SavefileSource(path);
      await source.open(sink);
      await sink.until(() => sink.frames.length === 18);
      assert.deepEqual(sink.endings, []);
      writer.stdin.end();
      assert.equal(await sink.ending(), 'end');
    },
  );

  for (const [how, script] of [
    ['was refused', 'yes > "$1"'],
    ['was closed', 'cat "$2" /dev/zero > "$1"'],
  ] as const) {
    it(`lets go of a FIFO that ${how}`, { skip: process.platform === 'win32' }, async () => {
      const path = join(directory, `fifo that ${how}`);
      execFileSync('mkfifo', [path]);
      const recording = fixturePath('pflog/10-nonsyn-blocked.pcap');
      const writer = spawn('sh', ['-c', `exec 2>&-; ${script}`, 'sh', path, recording], { stdio: 'ignore' });
      const exited = once(writer, 'close');
      const sink = new KeepingSink();
      const source = new SavefileSource(path);
      await source.open(sink);
      await sink.until(() => sink.frames.length > 100 || sink.endings.length > 0);
      if (how === 'was closed') await source.close();
      await exited;
      assert.equal(sink.endings.length, how === 'was closed' ? 0 : 1);
    });
  }

  it('may be standard input', () => {
    const script =
      'const { SavefileSource } = await import(process.argv[1]); const s = new SavefileSource("-");' +
      'const flags = []; await s.open({ frame: (f) => flags.push(f.captureLength), notice() {},' +
      ' error: (e) => console.log(e.message), end: () => console.log(flags.join(" ")) });';
    const module = new URL('../../src/capture/savefile.js', import.meta.url).href;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script, module], {
      input: readRecording('pflog/01-block-v4-syn.pcap'),
      encoding: 'utf8',
    });
    assert.equal(out, '124 124 124\n');
  });
});

it('every frame of a rewritten recording decodes as the original one', () => {
  const original = readRecording('pflog/10-nonsyn-blocked.pcap');
  const say = (file: Buffer): unknown[] =>
    parse(file).frames.map((frame) => decode({ ...frame, data: frame.bytes, offset: 0 }));
  const said = say(original);
  assert.equal(said.length, 18);
  assert.deepEqual(say(rewritePcap(original, { littleEndian: false, nanoseconds: true })), said);
});
