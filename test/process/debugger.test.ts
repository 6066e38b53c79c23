import assert from 'node:assert/strict';
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, afterEach, describe, it } from 'node:test';
import { opensDebugger } from '../../src/process/debugger.js';
import { World } from '../../src/demo/world.js';
import { CLI, Scratch } from '../support/cli.js';
import { ControlServer, replyLine } from '../support/control-server.js';
import { type Daemon, until, Workplace } from '../support/daemon.js';
import { Family, listeningOf, takesUsr1 } from '../support/processes.js';

const EVERY_MS = 20;

// a port that is free: what listens on 9229 may be somebody else's
process.env['NODE_OPTIONS'] = '--inspect-port=0';

const isOurs = (argv: readonly string[]): boolean =>
  argv[0] === process.execPath &&
  argv.some((word) => /\/build\/src\/(?:cli|process\/engine-main|demo\/\w+)\.js$/.test(word));

/** Sends SIGUSR1 to a process and all of ours that it starts, from their beginning on. */
class Bombardment {
  /** how many signals each of them got */
  readonly hits = new Map<number, number>();
  private readonly family: Family;
  private readonly timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.family = new Family(pid, isOurs);
    this.timer = setInterval(() => this.fire(), EVERY_MS);
  }

  /** Goes on until each has been hit so often, then ends; waits until nobody listens. */
  async end(atLeast: number): Promise<void> {
    await until('each was hit', () =>
      this.family.look().every((pid) => (this.hits.get(pid) ?? 0) >= atLeast),
    );
    clearInterval(this.timer);
    await until('nobody listens', () => this.listening().length === 0);
  }

  /** How many processes were hit. */
  get targets(): number {
    return this.hits.size;
  }

  /** Ends all that is left. */
  stop(): void {
    clearInterval(this.timer);
    this.family.end();
  }

  private listening(): string[] {
    // but for the mail server of the demonstration
    return this.family
      .look()
      .flatMap(listeningOf)
      .filter((address) => !address.endsWith(':0019'));
  }

  private fire(): void {
    for (const pid of this.family.look()) {
      // before that it is not Node's yet, and would end by it as any program does
      if (!takesUsr1(pid)) continue;
      try {
        process.kill(pid, 'SIGUSR1');
        this.hits.set(pid, (this.hits.get(pid) ?? 0) + 1);
      } catch {
        // it has ended
      }
    }
  }
}

const reason = process.platform === 'linux' ? false : 'looks at /proc';

describe('SIGUSR1 from the beginning on opens no debugger', { skip: reason }, () => {
  let place: Workplace | undefined;
  let bombardment: Bombardment | undefined;
  let child: ChildProcess | undefined;
  let server: ControlServer | undefined;
  afterEach(async () => {
    bombardment?.stop();
    child?.kill('SIGKILL');
    await server?.stop();
    await place?.dispose();
    [bombardment, child, server, place] = [undefined, undefined, undefined, undefined];
  });

  const startDaemon = async (user: string, args: readonly string[]): Promise<Daemon> => {
    place = await Workplace.create(user);
    const daemon = place.start(args);
    bombardment = new Bombardment(daemon.pid);
    return daemon;
  };

  /** Users, and how many processes of ours there are then. */
  const KINDS: readonly (readonly [string, string, number])[] = [
    ['in one process', 'root', 1],
    ...(process.getuid?.() === 0 ? ([['in monitor and engine', 'nobody', 2]] as const) : []),
  ];
  for (const [what, user, processes] of KINDS) {
    it(`${what}, in the foreground; it goes on, and logs its statistics then`, async () => {
      const daemon = await startDaemon(user, ['-F', '-s']);
      await daemon.line(/mxallowd is ready/);
      await bombardment?.end(10);
      assert.equal(bombardment?.targets, processes);
      await daemon.line(/Since the start: /);
      daemon.kill('SIGTERM');
      assert.equal(await daemon.ended, 0);
    });

    it(`${what}, in the background, while pfctl takes its time; nor in who waits for it`, async () => {
      const starter = await startDaemon(user, []);
      place?.pfctl.setFault({ mode: 'slow', ms: 1000 });
      place?.writeConfig([`pid-file ${place.pidFile}`]);
      assert.equal(await starter.ended, 0);
      await bombardment?.end(10);
      assert.equal(bombardment?.targets, processes + 1);
      process.kill(Number(readFileSync(place?.pidFile ?? '', 'utf8')), 'SIGTERM');
    });
  }

  /** Starts a command, and waits until it has asked. */
  const startCommand = async (
    ...args: readonly string[]
  ): Promise<{ question: Socket; ended: Promise<unknown> }> => {
    const scratch = new Scratch();
    const path = scratch.path('control.sock');
    let question: Socket | undefined;
    const keep = (connection: Socket): void => void (question = connection);
    server = await ControlServer.start(path, { watch: keep, status: keep, list: keep });
    child = spawn(process.execPath, [CLI, ...args, '--control-socket', path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    bombardment = new Bombardment(child.pid ?? 0);
    const ended = once(child, 'close');
    await until('it has asked', () => question !== undefined);
    scratch.remove();
    return { question: question ?? assert.fail(), ended };
  };
  for (const command of ['watch', 'status', 'list']) {
    it(`in "mxallowd ${command}", which goes on`, async () => {
      const { question, ended } = await startCommand(command);
      await bombardment?.end(20);
      assert.equal(bombardment?.targets, 1);
      question.write(replyLine({ ok: false, exitStatus: 75, message: 'later' }));
      assert.deepEqual(await ended, [75, null]);
    });
  }

  const mode = World.mode();
  it(
    'in "mxallowd demo" and all that it starts',
    { skip: typeof mode === 'string' ? false : mode.unavailable },
    async () => {
      child = spawn(process.execPath, [CLI, 'demo'], { stdio: ['ignore', 'pipe', 'pipe'] });
      bombardment = new Bombardment(child.pid ?? 0);
      await until('its daemon, its senders and its mail server are there', () => bombardment?.targets === 4);
      await bombardment.end(10);
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  );
});

describe('a debugger that is open at the start', { skip: reason }, () => {
  let child: ChildProcessByStdio<null, null, Readable> | undefined;
  let server: ControlServer | undefined;
  const scratch = new Scratch();
  afterEach(async () => {
    child?.kill('SIGKILL');
    await server?.stop();
  });
  after(() => scratch.remove());

  /** Starts a command that waits for an answer, and reads where its debugger is. */
  const start = async (
    options: readonly string[],
    environment: string,
  ): Promise<{ url: URL; asked: () => boolean }> => {
    const path = scratch.path('control.sock');
    let hasAsked = false;
    server = await ControlServer.start(path, { status: () => (hasAsked = true) });
    child = spawn(process.execPath, [...options, CLI, 'status', '--control-socket', path], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: environment },
    });
    const url = await new Promise<string>((resolve) => {
      createInterface({ input: child?.stderr ?? assert.fail() }).on('line', (line) => {
        const [, found] = /^Debugger listening on (ws:\S+)$/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      });
    });
    return { url: new URL(url), asked: () => hasAsked };
  };
  const listening = (): string[] => listeningOf(child?.pid ?? 0);

  it('is closed when the environment has asked for it', async () => {
    const { asked } = await start([], '--inspect=0');
    await until('it has asked', asked);
    assert.deepEqual(listening(), []);
  });

  it('stays when the command line has asked for it', async () => {
    const { asked, url } = await start(['--inspect=0'], '');
    await until('it has asked', asked);
    const port = Number(url.port).toString(16).toUpperCase().padStart(4, '0');
    assert.deepEqual(listening(), [`0100007F:${port}`]);
  });

  it('and has somebody attached who does not go is the end of the process', async () => {
    // it waits for him before its first statement
    const { url } = await start([], '--inspect-brk=0');
    const socket = connect(Number(url.port), '127.0.0.1');
    const headers = [
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ];
    socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n${headers.join('\r\n')}\r\n\r\n`);
    await once(socket, 'data');
    // a text frame of a client, RFC 6455 section 5.2: its mask is zero
    const go = Buffer.from('{"id":1,"method":"Runtime.runIfWaitingForDebugger"}');
    const frame = Buffer.concat([Buffer.from([0x81, 0x80 | go.length, 0, 0, 0, 0]), go]);
    socket.on('error', () => undefined).resume();
    let how: unknown;
    child?.once('exit', (...ended) => (how = ended));
    // what comes before it waits is not heard
    await until('it has ended', () => {
      socket.write(frame);
      return how !== undefined;
    });
    assert.deepEqual(how, [null, 'SIGKILL']);
    socket.destroy();
  });
});

it('an option that opens a debugger is not for the processes that we start', () => {
  const options = ['--inspect', '--inspect=1234', '--inspect-brk', '--inspect-brk=0', '--inspect-wait'];
  assert.deepEqual(options.filter(opensDebugger), options);
  const others = ['--inspect-port=1', '--inspect-publish-uid=stderr', '--enable-source-maps', 'inspect'];
  assert.deepEqual(others.filter(opensDebugger), []);
});
