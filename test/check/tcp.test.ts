import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { tryConnect } from '../../src/check/tcp.js';

/** Enough for anything that does answer. */
const PATIENT = { connectMs: 20_000, greetingMs: 20_000 };

describe('tryConnect', () => {
  const servers: Server[] = [];
  after(() => servers.forEach((server) => server.close()));

  async function listen(serve: (socket: Socket) => void): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      serve(socket);
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as { port: number }).port;
  }

  it('reads the greeting, and says QUIT', async () => {
    let heard = '';
    const gone = new Promise<void>((resolve) => {
      void listen((socket) => {
        socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
        socket.on('close', () => resolve());
        socket.write('220 mx2.exam');
        setImmediate(() => socket.write('ple.org ESMTP\r\nmore'));
      }).then(async (port) => {
        const answer = await tryConnect('127.0.0.1', port, PATIENT);
        assert.deepEqual(answer, { kind: 'open', greeting: '220 mx2.example.org ESMTP' });
      });
    });
    await gone;
    assert.equal(heard, 'QUIT\r\n');
  });

  it('does not speak before the greeting is complete (220-)', async () => {
    let heard = '';
    let isGone: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (isGone = resolve));
    const port = await listen((socket) => {
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      socket.on('close', () => isGone());
      socket.write('220-wait\r\n');
    });
    assert.deepEqual(await tryConnect('127.0.0.1', port, PATIENT), { kind: 'open', greeting: '220-wait' });
    await gone;
    assert.equal(heard, '');
  });

  it('does not wait for a greeting that is not wanted', async () => {
    const port = await listen(() => undefined);
    const answer = await tryConnect('127.0.0.1', port, { ...PATIENT, greetingMs: 0 });
    assert.deepEqual(answer, { kind: 'open', greeting: '' });
  });

  it('gives up on one that does not greet, and takes what one says that hangs up', async () => {
    const silent = await listen(() => undefined);
    const answer = await tryConnect('127.0.0.1', silent, { ...PATIENT, greetingMs: 50 });
    assert.deepEqual(answer, { kind: 'open', greeting: '' });
    const rude = await listen((socket) => socket.end('421 busy'));
    assert.deepEqual(await tryConnect('127.0.0.1', rude, PATIENT), { kind: 'open', greeting: '421 busy' });
  });

  it('bounds what a stranger says', async () => {
    const port = await listen((socket) => void socket.write('x'.repeat(100_000)));
    const answer = await tryConnect('127.0.0.1', port, PATIENT);
    assert.ok(answer.kind === 'open');
    assert.equal(answer.greeting.length, 512);
  });

  it('tells a refusal', async () => {
    const port = await listen(() => undefined);
    const server = servers.pop();
    server?.close();
    if (server !== undefined) await once(server, 'close');
    assert.deepEqual(await tryConnect('127.0.0.1', port, PATIENT), { kind: 'refused' });
  });

  it('tells what cannot be reached', async () => {
    // a link-local address says nothing without its link
    assert.deepEqual(await tryConnect('fe80::1', 25, PATIENT), {
      kind: 'unreachable',
      why: 'invalid argument',
    });
  });
});
