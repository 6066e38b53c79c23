// The control socket: who may ask, how many, how much.
import { lchownSync, lstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Exit } from '../sysexits.js';
import { type ControlRequest, type ControlReply, MOST_QUESTION } from './protocol.js';
import { parseRequest } from './request.js';

/** A question that cannot be answered, in words for people; its text is escaped. */
export class ControlError extends Error {
  override readonly name = 'ControlError';

  constructor(
    message: string,
    /** sysexits */
    readonly exitStatus: number,
  ) {
    super(message);
  }
}

/** How an answer is given while it is made. */
export interface Answering {
  /** Sends an item; resolves when there is room for the next one. */
  item(value: unknown): Promise<void>;
  /** Is aborted when nobody listens any more. */
  readonly signal: AbortSignal;
}

/**
 * Answers a question.
 * @throws ControlError
 */
export type ControlHandler = (request: ControlRequest, answering: Answering) => Promise<unknown>;

/** Who may ask, and where. */
export interface ControlPlace {
  readonly path: string;
  /** the group that may ask, beside the owner; undefined: the group that the process has */
  readonly groupId: number | undefined;
}

/** A socket that cannot be made. */
export class ControlSocketError extends Error {
  override readonly name = 'ControlSocketError';

  constructor(
    message: string,
    readonly kind: 'running' | 'not-writable',
  ) {
    super(message);
  }
}

const MOST_CONNECTIONS = 16;
/** Nothing said and nothing taken for so long: the connection is closed. */
const IDLE_MS = 60_000;
/** How long who is turned away may take to read why. */
const TURNED_AWAY_MS = 1000;
const PROBE_MS = 2000;
/** sun_path of struct sockaddr_un has 104 bytes on the BSDs (sys/un.h), 108 on Linux; Node cuts what is longer. */
const MOST_PATH = 103;
/** rw for the owner and the group */
const SOCKET_UMASK = 0o117;

/** The socket on which administrators ask the daemon. */
export class ControlServer {
  private readonly connections = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly place: ControlPlace,
    private readonly handler: ControlHandler,
  ) {
    server.on('connection', (socket) => this.serve(socket));
    // no descriptors left, for instance: the next one may get through
    server.on('error', () => undefined);
  }

  /**
   * Makes the socket, in place of one that a dead daemon has left behind.
   * @throws ControlSocketError
   */
  static async listen(place: ControlPlace, handler: ControlHandler): Promise<ControlServer> {
    makeSocketFolder(place.path);
    await makeWay(place.path);
    const server = createServer({ allowHalfOpen: true });
    server.maxConnections = 2 * MOST_CONNECTIONS;
    const control = new ControlServer(server, place, handler);
    const before = process.umask(SOCKET_UMASK);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(place.path, () => {
          server.off('error', reject);
          resolve();
        });
      });
      // whatever has been put in its place meanwhile: a link is not followed
      if (place.groupId !== undefined) lchownSync(place.path, process.getuid?.() ?? 0, place.groupId);
    } catch (error) {
      server.close();
      throw notWritable(place.path, error);
    } finally {
      process.umask(before);
    }
    return control;
  }

  /** Lets go of everybody, and takes the socket away where that is allowed. */
  async close(): Promise<void> {
    for (const socket of this.connections) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    removeSocket(this.place.path);
  }

  private serve(socket: Socket): void {
    this.connections.add(socket);
    const gone = new AbortController();
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.connections.delete(socket);
      gone.abort();
    });
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    if (this.connections.size > MOST_CONNECTIONS) {
      this.turnAway(socket, Exit.UNAVAILABLE, 'too many connections');
      return;
    }
    let rest = '';
    let isAnswering = false;
    let hasEnded = false;
    const next = (): void => {
      const end = rest.indexOf('\n');
      if (end < 0 ? rest.length > MOST_QUESTION : end > MOST_QUESTION) {
        this.turnAway(socket, Exit.USAGE, 'the question is too long');
      } else if (!isAnswering && end >= 0) {
        isAnswering = true;
        const question = rest.slice(0, end);
        rest = rest.slice(end + 1);
        void this.answer(socket, question, gone.signal).then(() => {
          isAnswering = false;
          if (!socket.destroyed) next();
        });
      } else if (!isAnswering && hasEnded) socket.end();
      // what more is asked waits in the kernel
      if (isAnswering && rest.length > MOST_QUESTION) socket.pause();
      else socket.resume();
    };
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      rest += text;
      next();
    });
    // whoever has asked and closed its side still gets the answer
    socket.on('end', () => {
      hasEnded = true;
      next();
    });
  }

  /** Says why, and hears no more: a client that goes on does not hold its place. */
  private turnAway(socket: Socket, exitStatus: number, message: string): void {
    socket.removeAllListeners('data').removeAllListeners('end').pause();
    socket.end(line({ ok: false, exitStatus, message }));
    const cancel = setTimeout(() => socket.destroy(), TURNED_AWAY_MS);
    socket.once('close', () => clearTimeout(cancel));
    socket.resume();
  }

  private async answer(socket: Socket, question: string, signal: AbortSignal): Promise<void> {
    const request = parseRequest(question);
    if (!request.ok) {
      await send(socket, signal, { ok: false, exitStatus: Exit.USAGE, message: request.message });
      return;
    }
    let reply: ControlReply;
    try {
      reply = { ok: true, result: await this.handler(request.value, new SocketAnswer(socket, signal)) };
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      reply = { ok: false, exitStatus: error.exitStatus, message: error.message };
    }
    await send(socket, signal, reply);
  }
}

class SocketAnswer implements Answering {
  constructor(
    private readonly socket: Socket,
    readonly signal: AbortSignal,
  ) {}

  item(value: unknown): Promise<void> {
    return send(this.socket, this.signal, { item: value });
  }
}

/** Resolves when there is room for more, or nobody listens any more. */
async function send(socket: Socket, signal: AbortSignal, reply: ControlReply): Promise<void> {
  if (signal.aborted || socket.write(line(reply))) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      socket.off('drain', go);
      socket.off('close', go);
      resolve();
    };
    socket.once('drain', go);
    socket.once('close', go);
  });
}

function line(reply: ControlReply): string {
  return `${JSON.stringify(reply)}\n`;
}

/** Takes away what a dead daemon has left; a living one, or something else, stays. */
async function makeWay(path: string): Promise<void> {
  const found = kindOf(path);
  if (found === 'other') {
    throw new ControlSocketError(
      `control-socket ${path}: there is something that is not a socket`,
      'not-writable',
    );
  }
  if (found !== 'socket') return;
  if (await answers(path)) {
    throw new ControlSocketError(`mxallowd is running already: it answers on ${path}`, 'running');
  }
  try {
    unlinkSync(path);
  } catch (error) {
    throw notWritable(path, error);
  }
}

/**
 * Makes the folder of a socket where it is missing: the last one only, for a mistyped path is not to be made true.
 * @throws ControlSocketError where no socket can be made
 */
export function makeSocketFolder(path: string): void {
  if (Buffer.byteLength(path) > MOST_PATH) {
    const message = `control-socket ${path} cannot be made: longer than ${MOST_PATH} bytes`;
    throw new ControlSocketError(message, 'not-writable');
  }
  requireSafeFolder(path);
  if (statSync(dirname(path), { throwIfNoEntry: false }) !== undefined) return;
  try {
    mkdirSync(dirname(path), { mode: 0o755 });
  } catch (error) {
    // another one may have made it meanwhile
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw notWritable(path, error);
  }
}

/** Root makes nothing in a folder where somebody else can exchange it. */
function requireSafeFolder(path: string): void {
  if (process.getuid?.() !== 0) return;
  const folder = dirname(path);
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const isOpen = (stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0;
  if (stat.uid === 0 && !isOpen) return;
  const message = `control-socket ${path}: the folder ${folder} must be root's, and written by root only`;
  throw new ControlSocketError(message, 'not-writable');
}

function kindOf(path: string): 'nothing' | 'socket' | 'other' {
  try {
    return lstatSync(path).isSocket() ? 'socket' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw notWritable(path, error);
  }
  return 'nothing';
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (does: boolean): void => {
      socket.destroy();
      resolve(does);
    };
    socket.setTimeout(PROBE_MS, () => finish(true));
    socket.once('connect', () => finish(true));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code === 'EAGAIN'));
  });
}

function notWritable(path: string, error: unknown): ControlSocketError {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === undefined ? message : `${code} (${message.split(/[:,] /)[1] ?? message})`;
  return new ControlSocketError(`control-socket ${path} cannot be made: ${why}`, 'not-writable');
}

/** Takes a socket away, where that is allowed. */
export function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // without root the folder is not ours: the next start finds that nobody answers
  }
}
