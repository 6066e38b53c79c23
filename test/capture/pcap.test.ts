import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  libpcapError,
  linkTypeNumber,
  loadPcap,
  openLiveSession,
  PcapSource,
} from '../../src/capture/pcap.js';
import { SavefileSource } from '../../src/capture/savefile.js';
import { CaptureError } from '../../src/capture/source.js';
import { KeepingSink } from '../support/frame-sink.js';
import { ETHERNET_RECORDING, fixturePath, PFLOG_RECORDINGS } from '../support/recordings.js';

const UNAVAILABLE =
  'capture "pcap" needs the npm package pcap (npm install pcap; it is built with libpcap\'s headers and a C++ ' +
  'compiler, and does not build on OpenBSD)';

const loaded = await loadPcap().catch((error: unknown) => error);
const missing = loaded instanceof CaptureError;
const needsPcap = { skip: missing ? 'the npm package pcap cannot be loaded' : false };
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;

/** A source that reads a recording with the package's own reader. */
function offlineSource(name: string, filter = ''): PcapSource {
  return new PcapSource('pflog0', async () => {
    const pcap = await loadPcap();
    return pcap.createOfflineSession(fixturePath(name), { filter });
  });
}

async function refusal(opening: Promise<void>): Promise<CaptureError> {
  let refused: unknown;
  await opening.catch((error: unknown) => (refused = error));
  assert.ok(refused instanceof CaptureError);
  return refused;
}

it(
  'a package pcap that is missing is unavailable, with what to install',
  { skip: missing ? false : 'it is there' },
  async () => {
    assert.ok(loaded instanceof CaptureError);
    assert.equal(loaded.message, UNAVAILABLE);
    assert.equal(loaded.kind, 'unavailable');
    const error = await refusal(
      new PcapSource('pflog0', () => openLiveSession('pflog0', '')).open(new KeepingSink()),
    );
    assert.equal(error.message, UNAVAILABLE);
  },
);

describe('the package pcap', needsPcap, () => {
  // frames of the recordings are little endian, the package knows the byte order of this machine only
  const names = PFLOG_RECORDINGS.filter((name) => !name.endsWith('.gz') && endianness() === 'LE');
  for (const name of names) {
    it(`gives the same frames of ${name} as a savefile`, async () => {
      const expected = new KeepingSink();
      await new SavefileSource(fixturePath(name)).open(expected);
      await expected.ending();
      const sink = new KeepingSink();
      const source = offlineSource(name);
      await source.open(sink);
      assert.equal(await sink.ending(), 'end');
      assert.deepEqual(sink.frames, expected.frames);
      assert.deepEqual(sink.endings, ['end']);
      await source.close();
      assert.equal(source.statistics().received, expected.frames.length);
      assert.equal(source.statistics().dropped, undefined);
    });
  }

  it('filters by what pf logged', async () => {
    const sink = new KeepingSink();
    await offlineSource('pflog/15-anchor.pcap', 'action pass').open(sink);
    await sink.ending();
    assert.equal(sink.frames.length, 1);
  });

  it('refuses Ethernet by that name, and gives no frame of it', async () => {
    const sink = new KeepingSink();
    const error = await refusal(offlineSource(ETHERNET_RECORDING).open(sink));
    assert.equal(
      error.message,
      'pcap on pflog0: link type 1 ETHERNET, expected 117 PFLOG: not a recording of a pflog interface',
    );
    assert.equal(error.kind, 'data');
    // another source reads a recording meanwhile: the first one had its chance
    const other = new KeepingSink();
    await offlineSource('pflog/10-nonsyn-blocked.pcap').open(other);
    await other.ending();
    assert.deepEqual([sink.frames, sink.endings], [[], []]);
  });

  it('gives no frame and no end after it was closed in the middle', async () => {
    const source = offlineSource('pflog/10-nonsyn-blocked.pcap');
    const sink = new KeepingSink((count) => {
      if (count === 3) void source.close();
    });
    await source.open(sink);
    await sink.until(() => sink.frames.length >= 3);
    const other = new KeepingSink();
    await offlineSource('pflog/10-nonsyn-blocked.pcap').open(other);
    await other.ending();
    assert.equal(sink.frames.length, 3);
    assert.deepEqual(sink.endings, []);
    assert.deepEqual(source.statistics(), { received: 3, dropped: undefined });
    await source.close();
  });

  it('says why a file or an interface cannot be opened', async () => {
    const missingFile = join('no', 'such.pcap');
    const error = await refusal(offlineSource(missingFile).open(new KeepingSink()));
    assert.match(error.message, /^pcap on pflog0: .*No such file or directory/);
    assert.equal(error.kind, 'died');
    const live = new PcapSource('nosuchif9', () => openLiveSession('nosuchif9', ''));
    assert.match((await refusal(live.open(new KeepingSink()))).message, /^pcap on nosuchif9: \S/);
    await live.close();
  });

  it('refuses a filter that is none', async () => {
    const error = await refusal(
      offlineSource('pflog/10-nonsyn-blocked.pcap', 'port and').open(new KeepingSink()),
    );
    assert.match(error.message, /^pcap on pflog0: .*syntax error/);
  });

  it(
    'refuses the loopback interface by the name of its link type',
    { skip: isRootOnLinux ? false : 'needs root on Linux' },
    async () => {
      const sink = new KeepingSink();
      const source = new PcapSource('lo', () => openLiveSession('lo', 'udp port 9'));
      const error = await refusal(source.open(sink));
      assert.equal(
        error.message,
        'pcap on lo: link type 1 ETHERNET, expected 117 PFLOG: not a recording of a pflog interface',
      );
      // the package lets go of the interface at the next packet; without one this process would not end
      const socket = createSocket('udp4');
      socket.send('wake up', 9, '127.0.0.1', () => socket.close());
      await once(socket, 'close');
      assert.deepEqual(sink.frames, []);
    },
  );
});

/** Stands for a live session of the package. */
class Session extends EventEmitter {
  closed = 0;
  dropped = { ps_recv: 100, ps_drop: 2, ps_ifdrop: 5 };

  constructor(readonly link_type = 'Unknown linktype 117') {
    super();
  }

  stats(): { ps_recv: number; ps_drop: number; ps_ifdrop: number } {
    return this.dropped;
  }

  close(): void {
    this.closed++;
    this.removeAllListeners();
  }
}

describe('a live session', () => {
  it('says what the kernel and the interface dropped, as long as it is open', async () => {
    const session = new Session();
    const source = new PcapSource('pflog0', () => Promise.resolve(session));
    assert.deepEqual(source.statistics(), { received: 0, dropped: undefined });
    await source.open(new KeepingSink());
    assert.deepEqual(source.statistics(), { received: 0, dropped: 7 });
    session.dropped = { ps_recv: 200, ps_drop: 10_172, ps_ifdrop: 0 };
    assert.deepEqual(source.statistics(), { received: 0, dropped: 10_172 });
    await source.close();
    await source.close();
    assert.equal(session.closed, 1);
    assert.deepEqual(source.statistics(), { received: 0, dropped: undefined });
  });

  it('of a link type that the package has no number for is refused and closed', async () => {
    const session = new Session('LINKTYPE_IEEE802_11_RADIO');
    const source = new PcapSource('wlan0', () => Promise.resolve(session));
    const error = await refusal(source.open(new KeepingSink()));
    assert.match(error.message, /^pcap on wlan0: link type -1, expected 117 PFLOG/);
    assert.equal(session.closed, 1);
  });

  it('that cannot be opened for want of permission is told from others', async () => {
    for (const [message, kind] of [
      ['socket: Operation not permitted', 'permission'],
      ['pflog0: No such device exists', 'died'],
    ] as const) {
      const source = new PcapSource('pflog0', () => Promise.reject(new Error(message)));
      const error = await refusal(source.open(new KeepingSink()));
      assert.deepEqual([error.message, error.kind], [`pcap on pflog0: ${message}`, kind]);
    }
  });

  it('is asked for in immediate mode, with our snap length, and not promiscuous', needsPcap, async (t) => {
    const pcap = await loadPcap();
    const session = new Session();
    const create = t.mock.method(pcap, 'createSession', () => session);
    assert.equal(await openLiveSession('pflog0', 'action block'), session);
    assert.deepEqual(create.mock.calls[0]?.arguments, [
      'pflog0',
      { filter: 'action block', snap_length: 256, promiscuous: false, buffer_timeout: 0 },
    ]);
  });
});

describe('the texts of the packages', () => {
  for (const [text, number] of [
    ['Unknown linktype 117', 117],
    ['Unknown linktype 17', 17],
    ['Unknown linktype 239', 239],
    ['LINKTYPE_NULL', 0],
    ['NULL', 0],
    ['LINKTYPE_ETHERNET', 1],
    ['ETHERNET', 1],
    ['LINKTYPE_RAW', 101],
    ['RAW', 101],
    ['LINKTYPE_LINUX_SLL', 113],
    ['LINUX_SLL', 113],
    ['LINKTYPE_IEEE802_11_RADIO', -1],
    ['Unknown linktype 117 ', -1],
    ['Unknown linktype ', -1],
    ['117', -1],
    ['', -1],
  ] as const) {
    it(`mean link type ${number}: ${JSON.stringify(text)}`, () => assert.equal(linkTypeNumber(text), number));
  }

  it('tell a missing permission from another failure', () => {
    for (const [message, kind] of [
      ['socket: Operation not permitted', 'permission'],
      ["pflog0: You don't have permission to capture on that device", 'permission'],
      ['(cannot open device) /dev/bpf: Permission denied', 'permission'],
      [
        'Attempt to create packet socket failed - CAP_NET_RAW may be required: needs privileges',
        'permission',
      ],
      ['pflog7: No such device exists', 'died'],
      ['', 'died'],
    ] as const) {
      const error = libpcapError('pcap on pflog0', new Error(`${message}\n`));
      assert.equal(error.message, `pcap on pflog0: ${message}`);
      assert.equal(error.kind, kind);
    }
    assert.equal(libpcapError('cap on pflog0', 'a text').message, 'cap on pflog0: a text');
  });
});
