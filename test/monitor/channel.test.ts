import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { join } from 'node:path';
import { Channel } from '../../src/monitor/channel.js';
import { Scratch } from '../support/cli.js';

const MOST = 100;

describe('a channel', () => {
  const scratch = new Scratch();
  let other: Socket;
  let ours: Socket;
  let seen: unknown[];
  let wake: () => void;
  let channel: Channel;

  beforeEach(async () => {
    const server = createServer();
    const path = join(scratch.folder, 'socket');
    server.listen(path);
    await once(server, 'listening');
    ours = connect(path);
    [other] = (await once(server, 'connection')) as [Socket];
    server.close();
    seen = [];
    wake = () => undefined;
    const note = (item: unknown): void => {
      seen.push(item);
      wake();
    };
    channel = new Channel(ours, MOST, {
      message: note,
      garbage: (why) => note(`garbage: ${why}`),
      closed: () => note('closed'),
    });
  });
  afterEach(() => {
    other.destroy();
    ours.destroy();
  });

  /** Waits until so many things have come. */
  const count = (wanted: number): Promise<void> =>
    new Promise((resolve) => {
      wake = () => {
        if (seen.length >= wanted) resolve();
      };
      wake();
    });

  it('delivers messages whole, however the bytes come', async () => {
    const bytes = Buffer.from('{"a":"\u00e9"}\n[1]\n"x"\n');
    for (const byte of bytes) other.write(Uint8Array.of(byte));
    await count(3);
    assert.deepEqual(seen, [{ a: '\u00e9' }, [1], 'x']);
  });

  it('reports what is not JSON, and goes on', async () => {
    other.write('nonsense\n{"b":2}\n');
    await count(2);
    assert.deepEqual(seen, ['garbage: something that is not JSON', { b: 2 }]);
  });

  it('throws away a message that is too long while it comes, and goes on after it', async () => {
    const slice = 'x'.repeat(64 * 1024);
    for (let i = 0; i < 160; i++) other.write(slice);
    other.write('\n{"c":3}\n');
    await count(2);
    assert.deepEqual(seen, [`garbage: a message of more than ${MOST} characters`, { c: 3 }]);
  });

  it('refuses a message that is too long also when it comes at once with its end', async () => {
    other.write(`"${'y'.repeat(MOST)}"\n1\n`);
    await count(2);
    assert.deepEqual(seen, [`garbage: a message of ${MOST + 2} characters`, 1]);
  });

  it('says once that the other side has gone, and sends into nothing then', async () => {
    other.destroy();
    await count(1);
    channel.send({ to: 'nobody' });
    await channel.close();
    assert.deepEqual(seen, ['closed']);
  });

  it('hands over what was sent before it closes', async () => {
    let text = '';
    other.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    channel.send({ last: 'words' });
    await Promise.all([channel.close(), once(other, 'end')]);
    assert.equal(text, '{"last":"words"}\n');
    assert.deepEqual(seen, []);
  });
});
