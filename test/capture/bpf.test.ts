import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type BpfSettings, type BpfSource, makeBpfSource } from '../../src/capture/bpf.js';
import { CaptureError } from '../../src/capture/source.js';
import { decode } from '../../src/packet/observation.js';
import { bpfFormat, bpfFrames, bpfReads } from '../support/bpf-buffers.js';
import { type BpfKernel, bpfKernelFolder, loadBpfKernel, loaderOf } from '../support/bpf-kernel.js';
import { decodeProgram, runProgram } from '../support/bpf-machine.js';
import { KeepingSink } from '../support/frame-sink.js';
import { frame4, frame6, ipv4, tcp } from '../support/frames.js';

const IDLE = fileURLToPath(new URL('../support/bpf-idle.js', import.meta.url));
const { errno } = constants;
const SETTINGS: BpfSettings = {
  interfaceName: 'pflog0',
  filter: 'port 25',
  platform: 'freebsd',
  architecture: 'x64',
};
const OPENBSD = bpfFormat('openbsd', 'x64');

const loaded = await loadBpfKernel();
const skip = typeof loaded === 'string' ? loaded : false;

/** The stand-in; only for tests that are not skipped. */
function theKernel(): BpfKernel {
  assert.ok(typeof loaded !== 'string');
  return loaded;
}

/** Sources that a test has made; an open one would keep the process. */
const made: BpfSource[] = [];
afterEach(async () => {
  for (const source of made.splice(0)) await source.close();
});

async function make(settings: Partial<BpfSettings> = {}): Promise<BpfSource> {
  const source = await makeBpfSource({ ...SETTINGS, ...settings }, loaderOf(theKernel()));
  made.push(source);
  return source;
}

async function opened(
  settings: Partial<BpfSettings> = {},
): Promise<{ source: BpfSource; sink: KeepingSink }> {
  const source = await make(settings);
  const sink = new KeepingSink();
  await source.open(sink);
  return { source, sink };
}

async function refusal(settings: Partial<BpfSettings> = {}): Promise<CaptureError> {
  const source = await make(settings);
  const sink = new KeepingSink();
  let refused: unknown;
  await source.open(sink).catch((error: unknown) => (refused = error));
  assert.ok(refused instanceof CaptureError);
  assert.deepEqual([sink.frames, sink.endings], [[], []]);
  assert.deepEqual(source.statistics(), { received: 0, dropped: undefined });
  await source.close();
  return refused;
}

/** A program that has not ended by then never ends. */
const HANGS_MS = 180_000;

/** Resolves when the stand-in has been read until nothing was there. */
async function drained(reads: number): Promise<void> {
  const kernel = theKernel();
  while (kernel.transcript().filter((line) => line.startsWith('read')).length < reads) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a bpf source on a stand-in for the kernel', { skip }, () => {
  beforeEach(() => theKernel().start());

  it('opens FreeBSD, in this order and with these arguments', async () => {
    const kernel = theKernel();
    const { source } = await opened();
    assert.deepEqual(kernel.transcript(), [
      'open /dev/bpf 0x100004',
      'BIOCVERSION',
      'BIOCSBLEN 1048576',
      'BIOCSETIF pflog0',
      'BIOCGDLT = 117',
      'BIOCSETF 47 instructions',
      'BIOCGBLEN = 524288',
      'BIOCSRTIMEOUT 0.100000',
      'BIOCIMMEDIATE 1',
      'BIOCLOCK',
    ]);
    assert.equal(source.description, 'bpf on pflog0');
    await source.close();
    assert.deepEqual(kernel.transcript().slice(10), ['BIOCGSTATS', 'close']);
  });

  it('opens OpenBSD, whose BIOCLOCK and flags are others; there the device may be /dev/bpf0', async () => {
    const kernel = theKernel();
    kernel.start({ platform: 'openbsd', device: '/dev/bpf0', maxSize: 2 << 20 });
    const { source } = await opened({ platform: 'openbsd' });
    assert.deepEqual(kernel.transcript(), [
      `open /dev/bpf 0x10004 -> ${errno.ENOENT}`,
      'open /dev/bpf0 0x10004',
      'BIOCVERSION',
      'BIOCSBLEN 1048576',
      'BIOCSETIF pflog0',
      'BIOCGDLT = 117',
      'BIOCSETF 47 instructions',
      'BIOCGBLEN = 1048576',
      'BIOCSRTIMEOUT 0.100000',
      'BIOCIMMEDIATE 1',
      'BIOCLOCK',
    ]);
    await source.close();
  });

  it('is non-blocking before it is locked: a locked device would refuse that', async () => {
    const { source } = await opened();
    assert.equal(theKernel().wasNonblocking(), true);
    await source.close();
  });

  it('gives the kernel the filter that it was asked for', async () => {
    const { source } = await opened({ filter: 'port 2525' });
    const program = decodeProgram(theKernel().program());
    const to = (destinationPort: number): Uint8Array =>
      frame4(ipv4({ payload: tcp({ destinationPort }) })).data;
    assert.equal(runProgram(program, to(2525)), 256);
    assert.equal(runProgram(program, to(25)), 0);
    await source.close();
  });

  it('delivers what a real FreeBSD gave, at once', async () => {
    const { source, sink } = await opened();
    const kernel = theKernel();
    let expected = 0;
    for (const read of [...bpfReads('immediate.raw'), ...bpfReads('buffered.raw')]) {
      kernel.capture(read);
      expected += read.length < 336 ? 1 : read.length === 336 ? 2 : Math.ceil(read.length / 160);
      await sink.until(() => sink.frames.length >= expected);
      assert.equal(sink.frames.length, expected);
    }
    assert.equal(expected, 5 + 122);
    assert.deepEqual(source.statistics(), { received: 127, dropped: 0 });
    const seen = sink.frames.map(({ bytes, ...rest }) => decode({ ...rest, data: bytes, offset: 0 }));
    assert.ok(seen.every((one) => one.ok && one.isSyn && one.destinationPort === 25));
    assert.deepEqual([sink.notices, sink.endings], [[], []]);
    await source.close();
    assert.deepEqual(sink.endings, []);
  });

  it('delivers what OpenBSD would give', async () => {
    theKernel().start({ platform: 'openbsd' });
    const { source, sink } = await opened({ platform: 'openbsd' });
    const frames = [frame4(ipv4(), { length: 100 }), frame6(undefined, { length: 100 })];
    const records = frames.map(({ data }, index) => ({
      bytes: data,
      seconds: 1_700_000_000,
      microseconds: index,
    }));
    theKernel().capture(bpfFrames(OPENBSD, 28, records));
    await sink.until(() => sink.frames.length === 2);
    assert.deepEqual(
      sink.frames.map(({ bytes, timeMs }) => [[...bytes], timeMs]),
      [
        [[...(frames[0]?.data ?? [])], 1_700_000_000_000],
        [[...(frames[1]?.data ?? [])], 1_700_000_000_000.001],
      ],
    );
    await source.close();
  });

  it('reads one buffer for each call, until nothing is left', async () => {
    const { source, sink } = await opened();
    const read = bpfReads('immediate.raw')[0] ?? new Uint8Array(0);
    for (let i = 0; i < 5; i++) theKernel().capture(read);
    await sink.until(() => sink.frames.length === 10);
    assert.deepEqual(
      theKernel().transcript().slice(10),
      Array.from({ length: 5 }, () => 'read 524288 = 336'),
    );
    await source.close();
  });

  it('goes on when it was woken for nothing, or a signal came in between', async () => {
    const { source, sink } = await opened();
    const kernel = theKernel();
    kernel.wake();
    await drained(1);
    kernel.fail('read', errno.EINTR, 3);
    kernel.capture(bpfReads('immediate.raw')[1] ?? new Uint8Array(0));
    await sink.until(() => sink.frames.length === 1);
    assert.deepEqual(kernel.transcript().slice(10), [
      `read 524288 -> ${errno.EAGAIN}`,
      `read -> ${errno.EINTR}`,
      `read -> ${errno.EINTR}`,
      `read -> ${errno.EINTR}`,
      'read 524288 = 156',
    ]);
    assert.deepEqual(sink.endings, []);
    await source.close();
  });

  it('tells what the kernel dropped, over the end of its 32 bits, and after it was closed', async () => {
    const { source } = await opened();
    const kernel = theKernel();
    kernel.drop(7);
    assert.deepEqual(source.statistics(), { received: 0, dropped: 7 });
    kernel.drop(0xffff_ffff);
    assert.deepEqual(source.statistics(), { received: 0, dropped: 0xffff_ffff });
    kernel.drop(4);
    assert.deepEqual(source.statistics(), { received: 0, dropped: 0x1_0000_0004 });
    kernel.fail('BIOCGSTATS', errno.EPERM);
    assert.deepEqual(source.statistics(), { received: 0, dropped: 0x1_0000_0004 });
    kernel.drop(6);
    await source.close();
    kernel.drop(99);
    assert.deepEqual(source.statistics(), { received: 0, dropped: 0x1_0000_0006 });
  });

  it('says when a buffer makes no sense, not each time', async () => {
    const { source, sink } = await opened();
    const kernel = theKernel();
    const read = bpfReads('immediate.raw')[0] ?? new Uint8Array(0);
    for (let i = 1; i <= 5; i++) {
      kernel.capture(read.subarray(0, 200));
      await sink.until(() => sink.frames.length === i);
    }
    assert.deepEqual(
      sink.notices,
      ['a read', '2 reads', '4 reads'].map((times) => ({
        text: `bpf on pflog0: ${times} had a rest that makes no sense (truncated-frame); frames are lost`,
        severity: 'warning',
      })),
    );
    await source.close();
  });

  for (const code of ['ENXIO', 'EIO'] as const) {
    it(`dies when the interface goes away (${code}), once, after what had come before`, async () => {
      const { source, sink } = await opened();
      const kernel = theKernel();
      kernel.drop(3);
      kernel.capture(bpfReads('immediate.raw')[1] ?? new Uint8Array(0));
      kernel.destroy(errno[code]);
      const ending = await sink.ending();
      assert.ok(ending instanceof CaptureError);
      assert.equal(ending.kind, 'died');
      assert.equal(
        ending.message,
        `bpf on pflog0: the interface is gone (${code}); load it: kldload pflog; service pflog start (at each boot: ` +
          'pflog_enable="YES" in /etc/rc.conf)',
      );
      assert.equal(sink.frames.length, 1);
      assert.equal(kernel.transcript().at(-1), 'close');
      assert.deepEqual(source.statistics(), { received: 1, dropped: 3 });
      await source.close();
      assert.equal(sink.endings.length, 1);
      assert.equal(kernel.transcript().filter((line) => line === 'close').length, 1);
    });
  }

  it('gives nothing more when it is closed in the middle of a buffer', async () => {
    const source = await make();
    const sink = new KeepingSink((count) => {
      if (count === 3) void source.close();
    });
    await source.open(sink);
    theKernel().capture(bpfReads('buffered.raw')[0] ?? new Uint8Array(0));
    await sink.until(() => sink.frames.length >= 3);
    assert.equal(sink.frames.length, 3);
    assert.equal(theKernel().transcript().at(-1), 'close');
    await source.close();
    await source.close();
    assert.deepEqual([sink.frames.length, sink.notices, sink.endings], [3, [], []]);
  });

  it('may be opened again by another source afterwards', async () => {
    const first = await opened();
    const error = await refusal();
    assert.match(error.message, /EBUSY: all bpf devices are in use/);
    await first.source.close();
    const second = await opened();
    await second.source.close();
  });

  it('that is closed and idle lets the process end by itself', () => {
    const out = execFileSync(process.execPath, ['--no-warnings', IDLE, bpfKernelFolder()], {
      encoding: 'utf8',
      timeout: HANGS_MS,
    });
    assert.equal(out, 'close\n');
  });

  it('does not hide a failure of whoever takes the frames: the process ends with it', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', IDLE, bpfKernelFolder(), 'fail'],
      {
        encoding: 'utf8',
        timeout: HANGS_MS,
      },
    );
    assert.match(stderr, /Error: a bug; device: read 524288 = 156/);
    assert.equal(status, 1);
  });

  it('dies when its descriptor can no longer be watched', async () => {
    const { koffi, find } = theKernel().libc;
    let tell: (status: number) => void = () => undefined;
    const poll = (_fd: number, _options: object, callback: (...values: unknown[]) => void): object => {
      tell = (status) => callback(status, { readable: false });
      return { close: () => undefined };
    };
    const libc = { koffi: { ...koffi, node: { ...koffi.node, poll } } as unknown as typeof koffi, find };
    const source = await makeBpfSource(SETTINGS, () => Promise.resolve({ ok: true, libc }));
    made.push(source);
    const sink = new KeepingSink();
    await source.open(sink);
    theKernel().fail('read', errno.EAGAIN, 2);
    tell(0);
    assert.equal(sink.endings.length, 0);
    tell(-errno.EBADF);
    const ending = await sink.ending();
    assert.ok(ending instanceof CaptureError);
    assert.equal(ending.message, 'bpf on pflog0: poll: EBADF');
    assert.equal(theKernel().transcript().at(-1), 'close');
  });
});

describe('a bpf source that cannot be opened', { skip }, () => {
  beforeEach(() => theKernel().start());

  const requests = [
    'BIOCVERSION',
    'BIOCSBLEN',
    'BIOCSETIF',
    'BIOCGDLT',
    'BIOCSETF',
    'BIOCGBLEN',
    'BIOCSRTIMEOUT',
    'BIOCIMMEDIATE',
    'BIOCLOCK',
  ];
  for (const request of requests) {
    it(`because ${request} fails says so, and closes the device`, async () => {
      theKernel().fail(request, errno.EINVAL);
      const error = await refusal();
      assert.equal(error.message, `bpf on pflog0: ${request}: EINVAL`);
      assert.equal(error.kind, 'died');
      assert.equal(theKernel().transcript().at(-1), 'close');
    });
  }

  it('for lack of permission says that; no other device is tried', async () => {
    theKernel().start({ platform: 'openbsd', device: '/dev/bpf0' });
    theKernel().fail('open', errno.EACCES);
    const error = await refusal({ platform: 'openbsd' });
    assert.equal(
      error.message,
      'bpf on pflog0: /dev/bpf: EACCES: not permitted; mxallowd must be started as root for it',
    );
    assert.equal(error.kind, 'permission');
    assert.deepEqual(theKernel().transcript(), [`open /dev/bpf 0x10004 -> ${errno.EACCES}`]);
  });

  it('for lack of a device says how to get it', async () => {
    theKernel().start({ device: '/dev/null' });
    const error = await refusal({ platform: 'openbsd' });
    assert.equal(error.message, 'bpf on pflog0: there is no /dev/bpf; make it: cd /dev && sh MAKEDEV bpf');
  });

  it('for lack of the interface says how to create it', async () => {
    theKernel().start({ platform: 'openbsd' });
    const error = await refusal({ platform: 'openbsd', interfaceName: 'pflog1' });
    assert.equal(
      error.message,
      'bpf on pflog1: there is no interface pflog1; create it: ifconfig pflog1 create; ifconfig pflog1 up (at each ' +
        'boot: "up" in /etc/hostname.pflog1)',
    );
    assert.equal(error.kind, 'unavailable');
    assert.equal(theKernel().transcript().at(-1), 'close');
  });

  it('on an interface of another kind names its link type, before anything is captured', async () => {
    theKernel().start({ linkType: 1 });
    const error = await refusal();
    assert.equal(
      error.message,
      'bpf on pflog0: link type 1 ETHERNET, expected 117 PFLOG: not a recording of a pflog interface',
    );
    assert.equal(error.kind, 'data');
    assert.deepEqual(theKernel().transcript().slice(-2), ['BIOCGDLT = 1', 'close']);
  });

  it('for an older language of filters is unavailable', async () => {
    theKernel().fail('old', 0);
    const error = await refusal();
    assert.equal(error.message, 'bpf on pflog0: filters of version 1.0, expected 1.1');
    assert.equal(error.kind, 'unavailable');
  });
});

describe('capture "bpf"', () => {
  it('is unavailable without koffi, and says why', async () => {
    const load = () => Promise.resolve({ ok: false, message: 'needs koffi' } as const);
    await assert.rejects(makeBpfSource(SETTINGS, load), (error) => {
      assert.ok(error instanceof CaptureError);
      assert.deepEqual([error.message, error.kind], ['capture "bpf" needs koffi', 'unavailable']);
      return true;
    });
  });

  it('is unavailable where a function is missing', { skip }, async () => {
    const { libc } = theKernel();
    for (const missing of ['open', 'ioctl', 'read', 'close']) {
      const find: typeof libc.find = (prototype) =>
        prototype.includes(` ${missing}(`) ? undefined : libc.find(prototype);
      const load = () => Promise.resolve({ ok: true, libc: { ...libc, find } } as const);
      await assert.rejects(makeBpfSource(SETTINGS, load), /capture "bpf" does not find its functions/);
    }
  });
});
