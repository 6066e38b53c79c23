// The live source by tcpdump(8): `tcpdump -w -` and its pipe.
import { accessSync, constants } from 'node:fs';
import type { Readable } from 'node:stream';
import { howItEnded, type Leashed, startLeashed } from './leash.js';
import type { Frame } from '../packet/frame.js';
import { SavefileParser } from './savefile-parser.js';
import {
  CaptureError,
  type CaptureStatistics,
  type FrameSink,
  type FrameSource,
  requirePflog,
  type RequireLinkType,
} from './source.js';
import { systemWords } from '../words.js';

/** Long enough for a pflog header of 100 bytes, IPv6 with extension headers, and TCP. */
export const SNAP_LENGTH = 256;

/** Where systems keep tcpdump. */
const PATHS = ['/usr/sbin/tcpdump', '/usr/bin/tcpdump', '/usr/local/sbin/tcpdump', '/sbin/tcpdump'];

interface Flavour {
  readonly platform: NodeJS.Platform;
  /** major release from which on this line applies */
  readonly fromRelease: number;
  readonly flags: readonly string[];
}

/**
 * What makes tcpdump hand out each frame at once, per system, the newest release first. OpenBSD's writes to `-w`
 * unbuffered and knows neither flag; FreeBSD has `--immediate-mode` as of 11 (tcpdump 4.9).
 */
const FLAVOURS: readonly Flavour[] = [
  { platform: 'openbsd', fromRelease: 0, flags: [] },
  { platform: 'freebsd', fromRelease: 11, flags: ['-U', '--immediate-mode'] },
  { platform: 'freebsd', fromRelease: 0, flags: ['-U'] },
  { platform: 'netbsd', fromRelease: 0, flags: ['-U'] },
  { platform: 'darwin', fromRelease: 0, flags: ['-U', '--immediate-mode'] },
  { platform: 'linux', fromRelease: 0, flags: ['-U', '--immediate-mode'] },
];

/**
 * The arguments for tcpdump.
 * @param platform - process.platform
 * @param release - os.release(), for example `14.1-RELEASE`
 */
export function tcpdumpArguments(
  platform: NodeJS.Platform,
  release: string,
  interfaceName: string,
  filter: string,
): string[] {
  const major = Number.parseInt(release, 10);
  const flavour = FLAVOURS.find((line) => line.platform === platform && !(major < line.fromRelease));
  const flags = flavour?.flags ?? ['-U'];
  const common = ['-n', '-p', ...flags, '-s', String(SNAP_LENGTH), '-i', interfaceName, '-w', '-'];
  // "--" ends the options: a filter that begins with "-" must not become one
  return filter === '' ? common : [...common, '--', filter];
}

/** The first tcpdump that can be run; undefined when there is none. */
export function findTcpdump(): string | undefined {
  return PATHS.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** How long tcpdump may take to begin. */
const START_TIMEOUT_MS = 10_000;
/** How long output may still come after its end. */
const DRAIN_MS = 500;
/** For wrappers that are scripts; nothing of ours is passed on. */
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin' };
/** Why there is nothing to run, and what that is to the capture, by the number of the error. */
const NO_PROGRAM: Readonly<Record<string, readonly [string, CaptureError['kind']]>> = {
  ENOENT: ['there is no such program', 'unavailable'],
  EACCES: ['it may not be run', 'permission'],
};
/** How much of what it said is kept for the message when it dies. */
const MAX_SAID = 4;
const MAX_LINE = 500;

/** "12 packets dropped by kernel", which tcpdump says when it ends. */
const DROPPED = /^(\d+) packets? dropped by kernel$/;

/** A tcpdump child whose standard output is a pcap stream. */
export class TcpdumpSource implements FrameSource {
  readonly description: string;
  private leashed: Leashed | undefined;
  private exited: Promise<void> = Promise.resolve();
  private received = 0;
  private dropped: number | undefined;
  private closing = false;
  private readonly said: string[] = [];

  /**
   * @param path - absolute path of tcpdump
   * @param args - from {@link tcpdumpArguments}
   * @param require - which link type it must be
   */
  constructor(
    private readonly path: string,
    private readonly args: readonly string[],
    interfaceName: string,
    private readonly require: RequireLinkType = requirePflog,
  ) {
    this.description = `${path} on ${interfaceName}`;
  }

  open(sink: FrameSink): Promise<void> {
    let leashed: Leashed;
    try {
      leashed = startLeashed(this.path, this.args, ENVIRONMENT);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const [why, kind] = NO_PROGRAM[code ?? ''] ?? [String(error), 'died'];
      return Promise.reject(new CaptureError(`${this.path}: ${why}`, kind));
    }
    const { child } = leashed;
    // no process at all (no descriptors left, for instance): then it may have no pipes either
    if (child.pid === undefined) {
      return new Promise((_, reject) => {
        child.once('error', (error) =>
          reject(new CaptureError(`${this.path}: ${systemWords(error)}`, 'died')),
        );
      });
    }
    this.leashed = leashed;
    return new Promise((resolve, reject) => {
      let opened = false;
      let failed = false;
      const fail = (error: CaptureError): void => {
        if (failed) return;
        failed = true;
        clearTimeout(timer);
        leashed.signal('KILL');
        if (!opened) reject(error);
        else if (!this.closing) sink.error(error);
      };
      const timer = setTimeout(() => {
        fail(new CaptureError(`${this.path} said nothing for ${START_TIMEOUT_MS / 1000} s`, 'died'));
      }, START_TIMEOUT_MS);
      const ready = (): void => {
        if (opened || failed) return;
        opened = true;
        clearTimeout(timer);
        resolve();
      };
      const deliver = (frame: Frame): void => {
        this.received++;
        sink.frame(frame);
      };
      const parser = new SavefileParser(this.path, deliver, this.require);
      const take = (chunk: Buffer): void => {
        if (failed || this.closing) return;
        try {
          parser.push(chunk);
          if (parser.hasHeader) ready();
        } catch (error) {
          if (!(error instanceof CaptureError)) throw error;
          fail(error);
        }
      };
      readByTurns(child.stdout, take);
      readLines(child.stderr, (line) => this.note(line, sink));
      this.exited = new Promise((done) => {
        child.on('error', (error) => fail(new CaptureError(`${this.path}: ${systemWords(error)}`, 'died')));
        // a wrapper's own child may hold the pipes open: it ends at its next packet
        child.once('exit', () => {
          setTimeout(() => {
            child.stdout.destroy();
            child.stderr.destroy();
          }, DRAIN_MS).unref();
        });
        child.once('close', (code, signal) => {
          done();
          fail(this.death(code, signal));
        });
      });
    });
  }

  statistics(): CaptureStatistics {
    return { received: this.received, dropped: this.dropped };
  }

  async close(): Promise<void> {
    this.closing = true;
    const { leashed } = this;
    if (leashed === undefined) return;
    leashed.signal('TERM');
    const kill = setTimeout(() => leashed.signal('KILL'), 1000);
    await this.exited;
    clearTimeout(kill);
  }

  private note(line: string, sink: FrameSink): void {
    const dropped = DROPPED.exec(line);
    if (dropped !== null) this.dropped = Number(dropped[1]);
    this.said.push(line);
    if (this.said.length > MAX_SAID) this.said.shift();
    const lost = dropped !== null && this.dropped !== 0;
    sink.notice(`tcpdump: ${line.replace(/^tcpdump: /, '')}`, lost ? 'warning' : 'info');
  }

  private death(code: number | null, signal: NodeJS.Signals | null): CaptureError {
    const how = howItEnded(code, signal);
    const words = this.said.join('; ');
    const kind = /permission denied|operation not permitted|don't have permission/i.test(words)
      ? 'permission'
      : 'died';
    return new CaptureError(`${this.path} ${how}${words === '' ? '' : `: ${words}`}`, kind);
  }
}

/** Bytes that are taken at once: some 150 frames. */
const PIECE = 16 * 1024;
/** After so long the rest waits for the next turn of the event loop. */
const TURN_MS = 1;

/**
 * Calls back with what a stream brings, for a millisecond in each turn of the event loop. With `data` events libuv
 * reads up to 2 MB before anything else gets its turn: in a flood whoever asks the daemon would wait for 20,000 frames.
 */
function readByTurns(stream: Readable, take: (piece: Buffer) => void): void {
  let isDue = false;
  const turn = (): void => {
    const start = performance.now();
    isDue = false;
    do {
      // the rest without its length: a stream that has ended says so only then
      const piece = (stream.readableLength > PIECE ? stream.read(PIECE) : stream.read()) as Buffer | null;
      if (piece === null) return;
      take(piece);
    } while (performance.now() - start < TURN_MS);
    isDue = true;
    setImmediate(turn);
  };
  stream.on('readable', () => {
    if (!isDue) setImmediate(turn);
    isDue = true;
  });
}

/** Calls back with each line of a stream, cut to a sane length. */
function readLines(stream: Readable, line: (text: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = (parts.pop() ?? '').slice(0, MAX_LINE);
    for (const part of parts) if (part !== '') line(part.slice(0, MAX_LINE));
  });
  stream.on('end', () => {
    if (rest !== '') line(rest);
  });
}
