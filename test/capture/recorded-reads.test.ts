/** What read(2) of /dev/bpf returned on OpenBSD 7.8 and FreeBSD 15.1, read by read, against the notes beside it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { splitBpfBuffer } from '../../src/capture/bpf-buffer.js';
import { formatAddress } from '../../src/packet/address.js';
import { decode } from '../../src/packet/observation.js';
import { readPflogHeader } from '../../src/packet/pflog.js';
import { bpfFormat, bpfReads } from '../support/bpf-buffers.js';
import { keep, type KeptFrame } from '../support/frame-sink.js';
import { fixturePath, readRecording } from '../support/recordings.js';

interface System {
  readonly folder: string;
  readonly platform: 'openbsd' | 'freebsd';
  /** of a pflog header, and of a frame with an IPv4 and an IPv6 SYN behind it */
  readonly lengths: readonly [header: number, ipv4: number, ipv6: number];
  readonly interfaceName: string;
  readonly recordings: number;
}

const SYSTEMS: readonly System[] = [
  {
    folder: 'openbsd/bpf',
    platform: 'openbsd',
    lengths: [100, 160, 180],
    interfaceName: 'vio1',
    recordings: 12,
  },
  {
    folder: 'freebsd15/bpf',
    platform: 'freebsd',
    lengths: [69, 132, 152],
    interfaceName: 'vtnet0',
    recordings: 2,
  },
];

/** The frames of a read, which lies in memory that is larger; what follows is 0xff. */
function split(read: Uint8Array, system: System): KeptFrame[] {
  const memory = new Uint8Array(read.length + 4096).fill(0xff);
  memory.set(read);
  const frames: KeptFrame[] = [];
  const format = bpfFormat(system.platform, 'x64');
  const damage = splitBpfBuffer(memory, read.length, format, (frame) => frames.push(keep(frame)));
  assert.equal(damage, undefined);
  return frames;
}

/** What the notes say of each read that returned something: its length and when its first frame was captured. */
function notedReads(notes: string): { bytes: number; firstMicros: number }[] {
  const pattern = /read (\d+) at [\d.]+,? first frame (\d+)\.(\d{6})/g;
  return [...notes.matchAll(pattern)].map(([, bytes, seconds, micros]) => ({
    bytes: Number(bytes),
    firstMicros: Number(seconds) * 1_000_000 + Number(micros),
  }));
}

/** Frames that the kernel had counted and that are not in the reads: the last of them, or the first. */
const MISSING: Readonly<Record<string, { readonly first: number; readonly last: number }>> = {
  // they did not fill a buffer
  'buffered-32768-1000ms.raw': { first: 0, last: 5 },
  'buffered-dropped.raw': { first: 0, last: 5 },
  'buffered-no-timeout.raw': { first: 0, last: 3 },
  // read before waiting, and not kept
  'rdonly-nonblock-dropped.raw': { first: 1, last: 0 },
};

for (const system of SYSTEMS) {
  const names = readdirSync(fixturePath(system.folder)).filter((name) => name.endsWith('.raw'));

  describe(`the reads below ${system.folder}`, () => {
    it('are all there', () => assert.equal(names.length, system.recordings));

    for (const name of names) {
      const notes = readRecording(`${system.folder}/${name.replace('.raw', '.txt')}`).toString();
      const reads = bpfReads(name, system.folder);
      const missing = MISSING[name] ?? { first: 0, last: 0 };

      it(`are as long as it was seen, and begin with the frame that was seen: ${name}`, () => {
        const seen = reads.map((read) => ({
          bytes: read.length,
          firstMicros: Math.round((split(read, system)[0]?.timeMs ?? 0) * 1000),
        }));
        assert.deepEqual(seen, notedReads(notes));
      });

      it(`give as many frames as the kernel had counted: ${name}`, () => {
        const frames = reads.flatMap((read) => split(read, system));
        const [, received, dropped] = /(?:stat|GSTATS .*) recv (\d+) drop (\d+)/.exec(notes) ?? [];
        // a device whose interface has gone has no statistics any more
        const hasStatistics = !notes.includes('BIOCGSTATS rc -1');
        const counted = Number(received) - Number(dropped);
        if (hasStatistics) assert.equal(missing.first + frames.length + missing.last, counted);
        for (const frame of frames) checkFrame(frame, system);
      });

      it(`are SYNs of those who were made to send them: ${name}`, () => {
        const sent = [...notes.matchAll(/SYN (\S+) > ([0-9a-f.:]*[0-9a-f])/g)].map(
          ([, from, to]) => `${from} > ${to}`,
        );
        const seen = reads
          .flatMap((read) => split(read, system))
          .slice(0, sent.length - missing.first)
          .map((frame) => {
            const decoded = decode({ ...frame, data: frame.bytes, offset: 0 });
            assert.ok(decoded.ok);
            return `${formatAddress(decoded.source)} > ${formatAddress(decoded.destination)}`;
          });
        assert.deepEqual(seen, reads.length === 0 ? [] : sent.slice(missing.first));
      });
    }
  });
}

function checkFrame(frame: KeptFrame, { lengths, interfaceName }: System): void {
  const [headerLength, ipv4, ipv6] = lengths;
  const whole = { ...frame, data: frame.bytes, offset: 0 };
  const decoded = decode(whole);
  const header = readPflogHeader(whole);
  assert.ok(decoded.ok && typeof header !== 'string');
  assert.equal(decoded.isSyn, true);
  assert.equal(decoded.destinationPort, 25);
  assert.equal(decoded.interfaceName, interfaceName);
  assert.equal(header.length, headerLength);
  assert.equal(frame.captureLength, decoded.family === 4 ? ipv4 : ipv6);
  assert.equal(frame.originalLength, frame.captureLength);
}
