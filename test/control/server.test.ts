import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import {
  type ControlHandler,
  ControlError,
  ControlServer,
  type ControlSocketError,
} from '../../src/control/server.js';
import { MOST_QUESTION } from '../../src/control/protocol.js';
import { Scratch } from '../support/cli.js';
import { until } from '../support/daemon.js';

/** Answers `list` with as many items as the test wants, `why` with an error, `watch` until nobody listens. */
function handler(items: number, state: { watching: number }): ControlHandler {
  return async (request, answering) => {
    if (request.command === 'why') throw new ControlError('no such address', 65);
    if (request.command === 'watch') {
      state.watching++;
      while (!answering.signal.aborted) {
        await answering.item('tick');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      state.watching--;
      return {};
    }
    for (let i = 0; i < items && !answering.signal.aborted; i++)
      await answering.item({ i, pad: 'x'.repeat(100) });
    return { command: request.command };
  };
}

describe('the control socket', () => {
  let scratch: Scratch;
  let path: string;
  let server: ControlServer | undefined;
  const state = { watching: 0 };
  const sockets: Socket[] = [];

  const listen = async (items = 0): Promise<ControlServer> => {
    server = await ControlServer.listen({ path, groupId: undefined }, handler(items, state));
    return server;
  };
  const open = async (): Promise<Socket> => {
    const socket = connect(path);
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  /** Says something, and reads until the other side closes. */
  const ask = async (text: string): Promise<string> => {
    const socket = await open();
    socket.end(text);
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk);
    return answer;
  };

  beforeEach(() => {
    scratch = new Scratch();
    path = scratch.path('mxallowd.sock');
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server?.close();
    server = undefined;
    scratch.remove();
  });

  it('is for its owner and the group only, and vanishes at the end', async () => {
    const control = await listen();
    assert.equal(statSync(path).mode & 0o777, 0o660);
    await control.close();
    assert.equal(existsSync(path), false);
    server = undefined;
  });

  it('answers questions one after the other, also of a client that has closed its side', async () => {
    await listen();
    assert.equal(
      await ask('{"command":"status"}\n{"command":"stats"}\n'),
      '{"ok":true,"result":{"command":"status"}}\n{"ok":true,"result":{"command":"stats"}}\n',
    );
  });

  const WRONG: [string, string][] = [
    ['nonsense', 'the question is not JSON'],
    ['[]', 'the question has no command'],
    ['7', 'the question is not an object'],
    ['{"command":"flush"}', 'the daemon does not know this command'],
    ['{"command":"__proto__"}', 'the daemon does not know this command'],
    ['{"command":"allow"}', 'allow needs an address'],
    ['{"command":"allow","address":"192.0.2.1","forSeconds":-1}', 'forSeconds is not a whole number'],
    ['{"command":"allow","address":"192.0.2.1","forSeconds":1e99}', 'forSeconds is not a whole number'],
    ['{"command":"forget","all":false}', 'forget needs an address'],
    ['{"command":"why","all":true}', 'why needs an address'],
    [`{"command":"forget","address":"${'1'.repeat(65)}"}`, 'forget needs an address'],
  ];
  for (const [question, why] of WRONG) {
    it(`says what is wrong with ${question.slice(0, 50)}, and goes on`, async () => {
      await listen();
      const [first = '', second = ''] = (await ask(`${question}\n{"command":"status"}\n`)).split('\n');
      assert.match(first, /^\{"ok":false,"exitStatus":64,/);
      assert.ok(first.includes(why), first);
      assert.equal(second, '{"ok":true,"result":{"command":"status"}}');
    });
  }

  it('passes on the words and the status of what cannot be answered', async () => {
    await listen();
    assert.equal(
      await ask('{"command":"why","address":"192.0.2.1"}\n'),
      '{"ok":false,"exitStatus":65,"message":"no such address"}\n',
    );
  });

  it('refuses a question without end, and keeps none of it', async () => {
    await listen();
    const answer = await ask('x'.repeat(MOST_QUESTION + 1));
    assert.equal(answer, '{"ok":false,"exitStatus":64,"message":"the question is too long"}\n');
  });

  it('sends 100,000 items to a reader that takes its time, without holding them in memory', async () => {
    await listen(100_000);
    const socket = await open();
    socket.write('{"command":"list"}\n');
    socket.pause();
    const before = process.memoryUsage().heapUsed;
    // what has been sent waits in the kernel; the server waits for the reader
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(process.memoryUsage().heapUsed - before < 20 << 20);
    let lines = 0;
    let last = '';
    for await (const chunk of socket.setEncoding('utf8')) {
      last = String(chunk);
      lines += last.split('\n').length - 1;
      if (last.includes('"ok"')) break;
    }
    assert.equal(lines, 100_001);
    assert.ok(last.endsWith('{"ok":true,"result":{"command":"list"}}\n'));
  });

  it('notices that a watcher has gone', async () => {
    await listen();
    const socket = await open();
    socket.write('{"command":"watch"}\n');
    await until('it watches', () => state.watching === 1);
    socket.destroy();
    await until('it watches no more', () => state.watching === 0);
  });

  it('does not answer the next question before the last answer was taken', async () => {
    await listen(2000);
    const socket = await open();
    socket.pause();
    for (let i = 0; i < 100; i++) socket.write('{"command":"list"}\n');
    let lines = 0;
    for await (const chunk of socket.setEncoding('utf8')) {
      lines += String(chunk).split('"ok":true').length - 1;
      if (lines === 100) break;
    }
    assert.equal(lines, 100);
  });

  it('turns away at once, and does not keep, who comes when all places are taken', async () => {
    await listen();
    for (let i = 0; i < 16; i++) await open();
    const late = await open();
    const closed = once(late, 'close');
    late.resume();
    const drip = setInterval(() => late.write('x'), 20);
    await closed;
    clearInterval(drip);
  });

  it(
    "makes nothing, as root, in a folder that is not root's",
    { skip: process.getuid?.() !== 0 },
    async () => {
      const { chownSync, mkdirSync } = await import('node:fs');
      mkdirSync(scratch.path('theirs'));
      chownSync(scratch.path('theirs'), 65_534, 65_534);
      path = scratch.path('theirs/mxallowd.sock');
      await assert.rejects(listen(), /the folder .*theirs must be root's, and written by root only/);
    },
  );

  it('talks with sixteen at a time, and tells the next one so', async () => {
    await listen();
    for (let i = 0; i < 16; i++) await open();
    assert.match(await ask('{"command":"status"}\n'), /too many connections/);
    sockets.splice(0, 1)[0]?.destroy();
    await until('there is room again', async () =>
      (await ask('{"command":"status"}\n')).includes('"ok":true'),
    );
  });

  it('takes the place of a socket that a dead daemon has left', async () => {
    const dead = createServer().listen(path);
    await once(dead, 'listening');
    // without its path being taken away, as after kill -9
    const left = scratch.path('left');
    const { linkSync, unlinkSync, renameSync } = await import('node:fs');
    linkSync(path, left);
    await new Promise((resolve) => dead.close(resolve));
    if (existsSync(path)) unlinkSync(path);
    renameSync(left, path);
    await listen();
    assert.match(await ask('{"command":"status"}\n'), /"ok":true/);
  });

  it('does not take the place of a daemon that lives', async () => {
    await listen();
    await assert.rejects(
      ControlServer.listen({ path, groupId: undefined }, handler(0, state)),
      (error: ControlSocketError) =>
        error.kind === 'running' && error.message === `mxallowd is running already: it answers on ${path}`,
    );
    assert.match(await ask('{"command":"status"}\n'), /"ok":true/);
  });

  it('does not touch what is not a socket', async () => {
    writeFileSync(path, 'precious');
    await assert.rejects(listen(), (error: ControlSocketError) => {
      assert.equal(error.message, `control-socket ${path}: there is something that is not a socket`);
      return error.kind === 'not-writable';
    });
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  it('says why it cannot be made', async () => {
    path = scratch.path('a/b/c.sock');
    await assert.rejects(listen(), /control-socket .*c\.sock cannot be made: ENOENT/);
    path = scratch.path(`${'long'.repeat(40)}.sock`);
    await assert.rejects(listen(), /control-socket .* cannot be made: longer than 103 bytes/);
  });

  it('makes the folder of its default place', async () => {
    path = scratch.path('mxallowd/mxallowd.sock');
    await listen();
    assert.match(await ask('{"command":"status"}\n'), /"ok":true/);
    chmodSync(scratch.path('mxallowd'), 0o755);
  });
});
