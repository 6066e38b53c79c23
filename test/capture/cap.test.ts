import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { endianness } from 'node:os';
import { describe, it } from 'node:test';
import { CapSource, loadCap } from '../../src/capture/cap.js';
import { CaptureError } from '../../src/capture/source.js';
import { LinkType } from '../../src/packet/frame.js';
import { KeepingSink } from '../support/frame-sink.js';

const UNAVAILABLE =
  'capture "cap" needs the npm package cap (npm install cap; it is built with libpcap\'s headers and a C++ ' +
  'compiler, and does not build on OpenBSD)';

const loaded = await loadCap().catch((error: unknown) => error);
const missing = loaded instanceof CaptureError;
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;
const needsCap = { skip: missing ? 'the npm package cap cannot be loaded' : false };
const needsRoot = { skip: isRootOnLinux ? false : 'needs root on Linux' };

async function refusal(opening: Promise<void>): Promise<CaptureError> {
  let refused: unknown;
  await opening.catch((error: unknown) => (refused = error));
  assert.ok(refused instanceof CaptureError);
  return refused;
}

it(
  'a package cap that is missing is unavailable, with what to install',
  { skip: missing ? false : 'it is there' },
  async () => {
    const error = await refusal(new CapSource('pflog0', '', () => 0).open(new KeepingSink()));
    assert.equal(error.message, UNAVAILABLE);
    assert.equal(error.kind, 'unavailable');
  },
);

describe('the package cap', needsCap, () => {
  it('gives what came in, with the time of the wall clock', needsRoot, async () => {
    const receiver = createSocket('udp4');
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const { port } = receiver.address();
    let asked: unknown;
    let nowMs = 1_700_000_000_000;
    // nothing on a test machine has link type 117; the rest is as on pflog0
    const source = new CapSource(
      'lo',
      `udp dst port ${port}`,
      () => nowMs++,
      (linkType, origin) => {
        asked = [linkType, origin];
        return LinkType.PFLOG;
      },
    );
    const sink = new KeepingSink();
    await source.open(sink);
    const texts = ['first', 'second, longer', 'x'];
    const sender = createSocket('udp4');
    for (const [index, text] of texts.entries()) {
      sender.send(text, port, '127.0.0.1');
      await sink.until(() => sink.frames.length > index);
    }
    await source.close();
    sender.send('after the end', port, '127.0.0.1', () => sender.close());
    await once(sender, 'close');
    receiver.close();
    assert.deepEqual(asked, [1, 'cap on lo']);
    // Ethernet 14, IPv4 20, UDP 8
    assert.deepEqual(
      sink.frames.map((frame) => frame.bytes.subarray(42).toString()),
      texts,
    );
    assert.deepEqual(
      sink.frames.map((frame) => [frame.captureLength, frame.originalLength, frame.timeMs, frame.linkType]),
      [
        [47, 47, 1_700_000_000_000, 117],
        [56, 56, 1_700_000_000_001, 117],
        [43, 43, 1_700_000_000_002, 117],
      ],
    );
    assert.equal(sink.frames[0]?.bytes.readUInt16BE(36), port);
    assert.ok(sink.frames.every((frame) => frame.littleEndian === (endianness() === 'LE')));
    assert.deepEqual(source.statistics(), { received: 3, dropped: undefined });
    assert.deepEqual(sink.endings, []);
    await source.close();
  });

  it('refuses the loopback interface by the name of its link type', needsRoot, async () => {
    const sink = new KeepingSink();
    const source = new CapSource('lo', 'udp port 9', () => 0);
    const error = await refusal(source.open(sink));
    assert.equal(
      error.message,
      'cap on lo: link type 1 ETHERNET, expected 117 PFLOG: not a recording of a pflog interface',
    );
    assert.equal(error.kind, 'data');
    assert.deepEqual(sink.frames, []);
    await source.close();
  });

  it('says why an interface or a filter is none', async () => {
    const noInterface = new CapSource('nosuchif9', '', () => 0);
    assert.match((await refusal(noInterface.open(new KeepingSink()))).message, /^cap on nosuchif9: \S/);
    await noInterface.close();
    if (!isRootOnLinux) return;
    const noFilter = new CapSource('lo', 'port and', () => 0);
    assert.match((await refusal(noFilter.open(new KeepingSink()))).message, /^cap on lo: .*syntax error/);
  });

  it('that could not be opened ends nothing when it is collected', () => {
    const module = new URL('../../src/capture/cap.js', import.meta.url).href;
    const script = `
      const { CapSource } = await import(${JSON.stringify(module)});
      const fail = (name) => new CapSource(name, '', () => 0).open({}).catch((error) => console.log(error.message));
      for (let i = 0; i < 3; i++) {
        await fail('nosuchif9');
        await new Promise(setImmediate);
        gc();
      }`;
    const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.deepEqual([child.signal, child.status], [null, 0]);
    assert.match(child.stdout, /^(cap on nosuchif9: \S.*\n){3}$/);
  });

  it('that was never opened may be closed, and has received nothing', async () => {
    const source = new CapSource('pflog0', '', () => 0);
    assert.equal(source.description, 'cap on pflog0');
    assert.deepEqual(source.statistics(), { received: 0, dropped: undefined });
    await source.close();
  });
});
