import assert from 'node:assert/strict';
import { linkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { ask, type Answer, type Question } from '../../src/control/client.js';
import type { ControlCommand, ListedEntry, WatchTick } from '../../src/control/protocol.js';
import { Scratch } from '../support/cli.js';
import { answer, ENTRIES, listAnswer, STATUS, TICK } from '../support/control-reports.js';
import { ControlServer, replyLine, type Script } from '../support/control-server.js';

const scratch = new Scratch();
after(() => scratch.remove());
let sockets = 0;

/** Asks a server that follows a script. */
async function askOne<C extends ControlCommand>(
  script: Script,
  question: Omit<Question<C>, 'path'>,
): Promise<Answer<C> & { questions: unknown[] }> {
  const server = await ControlServer.start(scratch.path(`${++sockets}.sock`), script);
  try {
    const said = await ask<C>({ ...question, path: server.path });
    return { ...said, questions: server.questions };
  } finally {
    await server.stop();
  }
}

/** Of a clock that only the test moves. */
const SILENCE_MS = 1000;
const STATUS_QUESTION = { request: { command: 'status' } } as const;

describe('a question to the daemon', () => {
  it('is answered', async () => {
    const { questions, ...said } = await askOne<'status'>({ status: answer(STATUS) }, STATUS_QUESTION);
    assert.ok(said.ok);
    assert.equal(said.result.pid, 812);
    assert.deepEqual(questions, [{ command: 'status' }]);
  });

  it('carries its parameters', async () => {
    const request = { command: 'allow', address: '192.0.2.7', forSeconds: 60 } as const;
    const result = { prefix: '192.0.2.7', expiresInMs: 60_000, wasThere: true };
    const { questions, ...said } = await askOne<'allow'>({ allow: answer(result) }, { request });
    assert.deepEqual(said, { ok: true, result });
    assert.deepEqual(questions, [request]);
  });

  it('is refused in the words of the daemon, with its exit status', async () => {
    const message = 'no room:\nmax-entries \x1b[2J';
    const said = await askOne({ status: [{ ok: false, exitStatus: 65, message }] }, STATUS_QUESTION);
    assert.deepEqual(said, {
      ok: false,
      exitStatus: 65,
      message: 'no room:\nmax-entries \\x1b[2J',
      questions: [{ command: 'status' }],
    });
  });

  it('never ends well when it was refused, whatever the status', async () => {
    for (const exitStatus of [0, -1, 256, 1.5, 'none']) {
      const refusal = { ok: false, exitStatus, message: 'no' } as unknown as {
        ok: false;
        exitStatus: 1;
        message: '';
      };
      const said = await askOne({ status: [refusal] }, STATUS_QUESTION);
      assert.ok(!said.ok && said.exitStatus === 70);
    }
  });

  it('is answered by pieces of lines, too, cut within characters', async () => {
    const list = (socket: Socket): void => {
      const bytes = Buffer.from(
        listAnswer([...ENTRIES, { ...(ENTRIES[0] as ListedEntry), name: 'ü' }])
          .map(replyLine)
          .join(''),
      );
      const piece = (start: number): void => {
        if (start >= bytes.length) return;
        socket.write(bytes.subarray(start, start + 7), () => setImmediate(() => piece(start + 7)));
      };
      piece(0);
    };
    const found: ListedEntry[] = [];
    const said = await askOne<'list'>(
      { list },
      { request: { command: 'list' }, onItem: (item) => void found.push(item) },
    );
    assert.deepEqual([said.ok, found.length], [true, 7]);
    assert.deepEqual(
      found.slice(0, 6).map(({ prefix }) => prefix),
      ENTRIES.map(({ prefix }) => prefix),
    );
    assert.equal(found[6]?.name, '\\xfc');
  });

  it('is answered with 100,000 items, no faster than they are taken', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const items = Array.from({ length: 100_000 }, (_, id) => ({
      ...(ENTRIES[0] as ListedEntry),
      attempts: id,
    }));
    let taken = 0;
    let isBusy = false;
    const said = await askOne<'list'>(
      { list: listAnswer(items) },
      {
        request: { command: 'list' },
        silenceMs: SILENCE_MS,
        onItem: async ({ attempts }) => {
          assert.deepEqual([attempts, isBusy], [taken++, false]);
          isBusy = true;
          // each takes longer than the daemon may be silent
          if (attempts % 20_000 === 0) t.mock.timers.tick(2 * SILENCE_MS);
          await Promise.resolve();
          isBusy = false;
        },
      },
    );
    assert.deepEqual([said.ok, taken], [true, 100_000]);
  });

  it('is given up when nothing is said for some time', async () => {
    const said = await askOne({ status: () => undefined }, { ...STATUS_QUESTION, silenceMs: 50 });
    assert.ok(!said.ok);
    assert.deepEqual([said.exitStatus, said.message], [69, 'mxallowd does not answer']);
  });

  it('is waited for as long as something is said', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const ticks: WatchTick[] = [];
    let say: (reply: Parameters<typeof replyLine>[0]) => void = () => undefined;
    /** Waits nearly as long as may be, and says the next thing. */
    const saySoon = (): void => {
      t.mock.timers.tick(SILENCE_MS - 1);
      say(ticks.length < 7 ? { item: TICK } : { ok: true, result: {} });
    };
    const watch = (socket: Socket): void => {
      say = (reply) => void socket.write(replyLine(reply));
      saySoon();
    };
    const onItem = (item: WatchTick): void => {
      ticks.push(item);
      // then the next one is waited for
      setImmediate(saySoon);
    };
    const request = { command: 'watch' } as const;
    const said = await askOne<'watch'>({ watch }, { request, silenceMs: SILENCE_MS, onItem });
    assert.deepEqual([said.ok, ticks.length], [true, 7]);
  });

  it('is given up by the one who asked', async () => {
    const control = new AbortController();
    const watch = (socket: Socket): void => void socket.write(replyLine({ item: TICK }));
    const onItem = (): void => control.abort();
    const said = await askOne<'watch'>(
      { watch },
      { request: { command: 'watch' }, onItem, signal: control.signal },
    );
    assert.equal(said.ok, false);
    const early = await askOne<'watch'>(
      { watch },
      { request: { command: 'watch' }, onItem, signal: control.signal },
    );
    assert.deepEqual([early.ok, early.questions], [false, []]);
  });
});

describe('a daemon that ends', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['before it says anything', '', 'before its answer was complete'],
    ['between two lines', replyLine({ item: TICK }), 'before its answer was complete'],
    ['in the midst of a line', replyLine({ item: TICK }).slice(0, 40), 'in mid answer'],
  ];
  for (const [what, before, where] of cases) {
    it(`is told: ${what}`, async () => {
      const watch = (socket: Socket): void => void socket.end(before);
      const said = await askOne({ watch }, { request: { command: 'watch' } });
      assert.ok(!said.ok);
      assert.equal(said.exitStatus, 69);
      assert.equal(said.message, `mxallowd has closed the connection ${where}: did it end?`);
    });
  }

  it('is told when the connection is torn down with a question unread', async () => {
    const status = (socket: Socket): void => void socket.destroy();
    const said = await askOne({ status }, STATUS_QUESTION);
    assert.ok(!said.ok && said.exitStatus === 69);
  });
});

describe('an answer that makes no sense', () => {
  const says = (text: string): Script => ({ status: (socket) => void socket.write(text) });
  const cases: readonly (readonly [string, Script, string])[] = [
    [
      'no JSON',
      says('220 mail.example.com ESMTP\x1b[2J\r\n'),
      'what listens there does not answer as mxallowd does: "220 mail.example.com ESMTP\\x1b[2J\\x0d"',
    ],
    ['JSON of something else', says('7\n'), 'what listens there does not answer as mxallowd does: "7"'],
    ['an empty line', says('\n'), 'what listens there does not answer as mxallowd does: ""'],
    [
      'neither item nor end',
      says('{"ok":"yes"}\n'),
      'what listens there does not answer as mxallowd does: "{"ok":"yes"}"',
    ],
    [
      'a line without end',
      says('x'.repeat((1 << 20) + 1)),
      'what listens there does not answer as mxallowd does: a line of more than 1048576 bytes',
    ],
    [
      'an item where there are none',
      { status: [{ item: 1 }] },
      'what listens there does not answer as mxallowd does: an item where there is none',
    ],
    [
      'a field of another type',
      { status: answer({ ...STATUS, pid: 'many' }) },
      'the answer makes no sense: result.pid is not a number (is the daemon of another version? Then restart it)',
    ],
  ];
  for (const [what, script, message] of cases) {
    it(`is told, with status 76: ${what}`, async () => {
      const said = await askOne(script, STATUS_QUESTION);
      assert.ok(!said.ok);
      assert.deepEqual([said.exitStatus, said.message], [76, message]);
    });
  }
});

describe('a daemon that cannot be asked', () => {
  const askAt = async (path: string): Promise<unknown[]> => {
    const said = await ask({ path, ...STATUS_QUESTION });
    return said.ok ? ['ok'] : [said.exitStatus, said.message];
  };

  it('does not run: no such file', async () => {
    const path = scratch.path('missing.sock');
    const message = `mxallowd does not run, or has another control-socket (${path}: there is no such file)`;
    assert.deepEqual(await askAt(path), [69, message]);
    const below = scratch.path('file/x.sock');
    scratch.file('file', '');
    assert.equal((await askAt(below))[0], 69);
  });

  it('has been killed: nobody listens', async () => {
    const path = scratch.path('left.sock');
    const server = await ControlServer.start(path, {});
    // who is killed does not remove it
    const left = scratch.path('killed.sock');
    linkSync(path, left);
    await server.stop();
    const message = `mxallowd does not run, or is being started again (${left}: nobody listens)`;
    assert.deepEqual(await askAt(left), [69, message]);
  });

  it('has a path that is no socket', async () => {
    const path = scratch.file('plain', '');
    assert.deepEqual(await askAt(path), [78, `control-socket ${path}: is not a socket`]);
  });

  it('has a path that no socket can have', async () => {
    const path = `/tmp/${'x'.repeat(99)}`;
    const message = `control-socket ${path}: longer than the 103 bytes that a socket's path can have`;
    assert.deepEqual(await askAt(path), [78, message]);
  });
});
