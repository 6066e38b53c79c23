import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { join } from 'node:path';
import { Channel, type ChannelListener } from '../../src/monitor/channel.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';
import { HandClock } from '../support/hand-clock.js';

const MOST = 100;

/** Waits until the other end is closed, however. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume().once('close', () => resolve());
  });
}

describe('a channel', () => {
  const scratch = new Scratch();
  let other: Socket;
  let ours: Socket;
  let seen: unknown[];
  let open: (most?: number, clock?: HandClock) => Channel;
  /** Waits until so many things have come. */
  let count: (wanted: number) => Promise<void>;

  beforeEach(async () => {
    const server = createServer();
    const path = join(scratch.folder, 'socket');
    server.listen(path);
    await once(server, 'listening');
    ours = connect(path);
    [other] = (await once(server, 'connection')) as [Socket];
    server.close();
    // what a test leaves behind is not the next one's
    const items: unknown[] = [];
    const waiter = { wake: () => undefined };
    const note = (item: unknown): void => {
      items.push(item);
      waiter.wake();
    };
    const listener: ChannelListener = {
      message: note,
      garbage: (what) => note(`garbage: ${what}`),
      closed: () => note('closed'),
    };
    seen = items;
    open = (most = MOST, clock) => new Channel(ours, most, listener, clock);
    count = (wanted) =>
      new Promise((resolve) => {
        waiter.wake = () => {
          if (items.length >= wanted) resolve();
          return undefined;
        };
        waiter.wake();
      });
  });
  afterEach(() => {
    other.destroy();
    ours.destroy();
  });

  it('delivers messages whole, however the bytes come', async () => {
    open();
    const bytes = Buffer.from('{"a":"\u00e9"}\n[1]\n"x"\n');
    for (const byte of bytes) other.write(Uint8Array.of(byte));
    await count(3);
    assert.deepEqual(seen, [{ a: '\u00e9' }, [1], 'x']);
  });

  it('hears nothing more after something that is not JSON', async () => {
    open();
    other.write('[1]\nnonsense\n{"b":2}\n');
    await Promise.all([count(2), closed(other)]);
    assert.deepEqual(seen, [[1], 'garbage: something that is not JSON']);
  });

  it('does not wait for the end of a message that is too long', async () => {
    open();
    const slice = 'x'.repeat(64 * 1024);
    // it is closed while we write
    other.on('error', () => undefined);
    for (let i = 0; i < 160; i++) other.write(slice);
    await Promise.all([count(1), closed(other)]);
    assert.deepEqual(seen, [`garbage: more than ${MOST} characters`]);
  });

  it('refuses a message that is too long also when it comes at once with its end', async () => {
    open();
    other.write(`"${'y'.repeat(MOST)}"\n1\n`);
    await Promise.all([count(1), closed(other)]);
    assert.deepEqual(seen, [`garbage: more than ${MOST} characters`]);
  });

  it('puts a message together from many pieces', async () => {
    open(1 << 20);
    const text = 'z'.repeat(1 << 19);
    for (const at of [0, 1, 2, 70_000, 1 << 18])
      other.write(`${at === 0 ? '"' : ''}${text.slice(at)}`.slice(0, 70_000));
    other.write('"\n[2]\n');
    await count(2);
    assert.deepEqual(
      seen.map((value) => (typeof value === 'string' ? value.length : value)),
      [5 * 70_000 - 1, [2]],
    );
  });

  describe('to a side that is not trusted', () => {
    let clock: HandClock;
    let channel: Channel;
    beforeEach(() => {
      clock = new HandClock();
      channel = open(1 << 19, clock);
    });
    /** Waits until nothing is read any more. */
    const rests = (): Promise<void> => until('it rests', () => clock.timersMs.length > 0);

    it('reads a burst at once, then so many messages a second, and does not lose one', async () => {
      const all = Array.from({ length: 1000 }, (_, id) => id);
      other.write(all.map((id) => `${id}\n`).join(''));
      await rests();
      assert.equal(seen.length, 400);
      assert.equal(ours.isPaused(), true);
      clock.pass(1000);
      assert.equal(seen.length, 500);
      while (clock.timersMs.length > 0) clock.pass(1000);
      await count(1000);
      assert.deepEqual(seen, all);
    });

    it('counts a long message as many', async () => {
      // 16,384 characters are as many as one message more
      const message = `"${'a'.repeat(16_384 * 10)}"\n`;
      for (let i = 0; i < 50; i++) other.write(message);
      await rests();
      assert.equal(seen.length, 37);
    });

    it('lets nothing pile up of what it does not read', async () => {
      other.write('1\n'.repeat(1 << 20));
      await rests();
      assert.ok(ours.bytesRead < 1 << 19, `${ours.bytesRead} bytes were read`);
      clock.pass(60_000);
      await rests();
      assert.ok(ours.bytesRead < 1 << 20, `${ours.bytesRead} bytes were read`);
    });

    it('goes on with other things while it rests, and ends when it is told to', async () => {
      other.write('1\n'.repeat(1000));
      await rests();
      channel.send({ hello: 1 });
      other.setEncoding('utf8');
      assert.equal(((await once(other, 'data')) as [string])[0], '{"hello":1}\n');
      channel.destroy();
      await closed(other);
      assert.equal(clock.timersMs.length, 0);
      assert.equal(seen.length, 400);
    });
  });

  it('says once that the other side has gone, and sends into nothing then', async () => {
    const channel = open();
    other.destroy();
    await count(1);
    channel.send({ to: 'nobody' });
    await channel.close();
    assert.deepEqual(seen, ['closed']);
  });

  it('hands over what was sent before it closes', async () => {
    const channel = open();
    let text = '';
    other.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    channel.send({ last: 'words' });
    await Promise.all([channel.close(), once(other, 'end')]);
    assert.equal(text, '{"last":"words"}\n');
    assert.deepEqual(seen, []);
  });
});
