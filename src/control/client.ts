// Asks a running daemon on its control socket.
import { once } from 'node:events';
import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { printable } from '../packet/escape.js';
import { Exit } from '../sysexits.js';
import { type ControlResults, ITEMS, type ItemOf, RESULTS } from './answers.js';
import { LineSplitter } from './line-splitter.js';
import { check, type Schema } from './schema.js';
import type { ControlCommand, ControlRequest } from './protocol.js';

/** Bytes of a line of an answer at the most. */
const MOST_LINE = 1 << 20;
/** How long the daemon may say nothing. */
const SILENCE_MS = 10_000;
/** What the shortest `sun_path` of our systems holds (sys/un.h: 104 bytes with the final NUL; Linux has 108). */
const MOST_PATH = 103;

/** A question for the daemon. */
export interface Question<C extends ControlCommand> {
  /** of the control socket */
  readonly path: string;
  readonly request: Extract<ControlRequest, { readonly command: C }>;
  /** called for each item; no more is read until what it returns is resolved */
  readonly onItem?: (item: ItemOf<C>) => void | Promise<void>;
  /** how long the daemon may say nothing, milliseconds */
  readonly silenceMs?: number;
  /** ends the connection; the answer is then a problem that nobody need hear of */
  readonly signal?: AbortSignal;
}

/** No answer, and why. */
export interface AskProblem {
  readonly ok: false;
  /** sysexits */
  readonly exitStatus: number;
  /** for people, fit for a terminal; may have several lines */
  readonly message: string;
}

/** What the daemon says at the end. */
export type Answer<C extends ControlCommand> =
  { readonly ok: true; readonly result: ControlResults[C] } | AskProblem;

/**
 * Asks the daemon one question on a connection of its own. What it answers is checked, and made fit for a terminal:
 * who judges packets might have been taken over by one.
 */
export async function ask<C extends ControlCommand>(question: Question<C>): Promise<Answer<C>> {
  const { path, request, signal } = question;
  if (Buffer.byteLength(path) > MOST_PATH) {
    const message = `control-socket ${path}: longer than the ${MOST_PATH} bytes that a socket's path can have`;
    return problem(Exit.CONFIG, message);
  }
  const socket = connect(path);
  const abort = (): void => void socket.destroy();
  signal?.addEventListener('abort', abort);
  try {
    const failure = await connected(socket, signal);
    if (failure !== undefined) return cannotConnect(path, failure);
    socket.write(`${JSON.stringify(request)}\n`);
    return await converse(socket, question);
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** @returns what went wrong, if something did */
function connected(
  socket: Socket,
  signal: AbortSignal | undefined,
): Promise<NodeJS.ErrnoException | undefined> {
  return once(socket, 'connect', signal === undefined ? {} : { signal }).then(
    () => undefined,
    (error: unknown) => error as NodeJS.ErrnoException,
  );
}

async function converse<C extends ControlCommand>(socket: Socket, question: Question<C>): Promise<Answer<C>> {
  const lines = new LineSplitter(MOST_LINE);
  const chunks = new Chunks(socket, question.silenceMs ?? SILENCE_MS);
  for (;;) {
    const chunk = await chunks.next();
    if (typeof chunk === 'string') return lost(chunk, lines.isInLine);
    const ready = lines.push(chunk);
    if (ready === undefined) return senseless(`a line of more than ${MOST_LINE} bytes`);
    for (const line of ready) {
      const answer = await take(line, question);
      if (answer !== undefined) return answer;
    }
  }
}

/** Pieces of an answer as they come; what is not fetched stays where it is, and the sender waits. */
class Chunks {
  private readonly iterator: AsyncIterator<Buffer, undefined>;

  constructor(
    private readonly socket: Socket,
    private readonly silenceMs: number,
  ) {
    this.iterator = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  }

  /** @returns bytes, or why there are no more */
  async next(): Promise<Buffer | 'end' | 'silence'> {
    let isSilent = false;
    let isWaiting = true;
    const timer = setTimeout(() => {
      // a process that was stopped finds its timer due before what has come meanwhile
      setImmediate(() => {
        if (!isWaiting) return;
        isSilent = true;
        this.socket.destroy();
      });
    }, this.silenceMs);
    try {
      const { value } = await this.iterator.next();
      return value ?? (isSilent ? 'silence' : 'end');
    } catch {
      return isSilent ? 'silence' : 'end';
    } finally {
      isWaiting = false;
      clearTimeout(timer);
    }
  }
}

/** @returns the answer, when this line is its end */
async function take<C extends ControlCommand>(
  line: string,
  { request, onItem }: Question<C>,
): Promise<Answer<C> | undefined> {
  const reply = parse(line);
  if (reply === undefined) return senseless(`"${printable(line.slice(0, 60))}"`);
  const { command } = request;
  if (Object.hasOwn(reply, 'item')) {
    const schemas: Partial<Record<ControlCommand, unknown>> = ITEMS;
    const schema = schemas[command] as Schema<ItemOf<C>> | undefined;
    if (schema === undefined) return senseless('an item where there is none');
    const item = check(schema, reply['item'], 'item');
    if (!item.ok) return mismatch(item.problem);
    await onItem?.(item.value);
    return undefined;
  }
  const { ok, result, exitStatus, message } = reply;
  if (ok === true) {
    const read = check(RESULTS[command] as Schema<ControlResults[C]>, result, 'result');
    return read.ok ? { ok: true, result: read.value } : mismatch(read.problem);
  }
  if (ok === false && typeof message === 'string') {
    const isStatus = Number.isInteger(exitStatus) && Number(exitStatus) > 0 && Number(exitStatus) < 128;
    return problem(isStatus ? Number(exitStatus) : Exit.SOFTWARE, message);
  }
  return senseless(`"${printable(line.slice(0, 60))}"`);
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function problem(exitStatus: number, message: string): AskProblem {
  return { ok: false, exitStatus, message: message.split('\n').map(printable).join('\n') };
}

function lost(how: 'end' | 'silence', inLine: boolean): AskProblem {
  if (how === 'silence') return problem(Exit.UNAVAILABLE, 'mxallowd does not answer');
  const where = inLine ? 'in mid answer' : 'before its answer was complete';
  return problem(Exit.UNAVAILABLE, `mxallowd has closed the connection ${where}: did it end?`);
}

function senseless(what: string): AskProblem {
  return problem(Exit.PROTOCOL, `what listens there does not answer as mxallowd does: ${what}`);
}

function mismatch(what: string): AskProblem {
  const advice = 'is the daemon of another version? Then restart it';
  return problem(Exit.PROTOCOL, `the answer makes no sense: ${what} (${advice})`);
}

/** What an administrator should think of, by what connect(2) says. */
const CONNECT_PROBLEMS: Readonly<Record<string, (path: string) => AskProblem>> = {
  ENOENT: notThere,
  ENOTDIR: notThere,
  ECONNREFUSED: nobodyListens,
  ENOTSOCK: nobodyListens,
  EACCES: notAllowed,
  EPERM: notAllowed,
};

function cannotConnect(path: string, { code = '', message }: NodeJS.ErrnoException): AskProblem {
  const known = CONNECT_PROBLEMS[code]?.(path);
  return known ?? problem(Exit.UNAVAILABLE, `control-socket ${path}: ${message}`);
}

function notThere(path: string): AskProblem {
  const detail = `${path}: there is no such file`;
  return problem(Exit.UNAVAILABLE, `mxallowd does not run, or has another control-socket (${detail})`);
}

function nobodyListens(path: string): AskProblem {
  if (!isSocket(path)) return problem(Exit.CONFIG, `control-socket ${path}: is not a socket`);
  const detail = `${path}: nobody listens`;
  return problem(Exit.UNAVAILABLE, `mxallowd does not run, or is being started again (${detail})`);
}

function notAllowed(path: string): AskProblem {
  const detail = `${path}: permission denied`;
  return problem(Exit.NOPERM, `only root and members of the control-group may ask mxallowd (${detail})`);
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    // it has just gone
    return true;
  }
}
