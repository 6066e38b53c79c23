// Messages between monitor and engine: a line of JSON each, bounded.
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import type { Clock } from '../clock.js';
import { Bucket } from './bucket.js';

/** Who takes what comes over a channel. */
export interface ChannelListener {
  /** A message: any JSON value, not yet checked. */
  message(value: unknown): void;
  /** What is no message has come: not JSON, or longer than allowed. The channel is closed, nothing more will come. */
  garbage(what: string): void;
  /** The other side has gone; nothing more will come. */
  closed(): void;
}

/** Bytes that may wait for the other side to read. */
const MOST_WAITING = 1 << 18;
/** Messages that are read from a side that is not trusted: so many at once, and so many in a second. */
const BURST = 400;
const PER_SECOND = 100;
/** So many characters of a message count as one more message: they take as long to read. */
const CHARACTERS = 1 << 14;

/** Messages over a socket: a line of JSON each, of a bounded length. Nothing that comes in can make it grow. */
export class Channel {
  private readonly decoder = new StringDecoder('utf8');
  private readonly bucket = new Bucket(BURST, PER_SECOND);
  /** a line that has not ended yet; it is put together only when it has */
  private begun = '';
  /** what has come and is not looked at yet: less than one reading brings */
  private later = '';
  /** the other side does not read what we have sent, so we do not read what it sends */
  private isDeaf = false;
  /** the other side has sent more than its share, so it is not read for a while */
  private isResting = false;
  private isOpen = true;
  private cancelRest: (() => void) | undefined;

  /**
   * @param mostCharacters - of a message that comes in
   * @param clock - the other side is not trusted: it is read at a rate; absent: as fast as it writes
   */
  constructor(
    private readonly socket: Socket,
    private readonly mostCharacters: number,
    private readonly listener: ChannelListener,
    private readonly clock?: Pick<Clock, 'monotonicMs' | 'after'>,
  ) {
    socket.on('data', (data: Buffer) => this.push(this.decoder.write(data)));
    socket.on('error', () => this.end());
    socket.on('close', () => this.end());
  }

  /**
   * Sends a message; after the other side has gone, into nothing. Whoever does not read is not heard any more until it
   * does: what waits for it is bounded by what one message can ask for.
   */
  send(value: unknown): void {
    if (!this.isOpen) return;
    const { socket } = this;
    socket.write(`${JSON.stringify(value)}\n`);
    if (socket.writableLength <= MOST_WAITING || this.isDeaf) return;
    this.isDeaf = true;
    socket.pause();
    socket.once('drain', () => {
      this.isDeaf = false;
      this.goOn();
    });
  }

  /** Hands over what was sent, and closes. */
  close(): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    this.shut();
    return new Promise((resolve) => {
      this.socket.once('close', () => resolve());
      this.socket.end(() => this.socket.destroy());
    });
  }

  /** Lets go of the other side, whatever it still has to say. */
  destroy(): void {
    this.shut();
    this.socket.destroy();
  }

  private get isHearing(): boolean {
    return this.isOpen && !this.isDeaf && !this.isResting;
  }

  private push(text: string): void {
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0 && this.isHearing; at = text.indexOf('\n', from)) {
      this.line(this.begun + text.slice(from, at));
      this.begun = '';
      from = at + 1;
    }
    if (!this.isHearing) this.later += text.slice(from);
    else this.begun += text.slice(from);
    if (this.begun.length > this.mostCharacters) this.refuse(`more than ${this.mostCharacters} characters`);
  }

  private goOn(): void {
    const { later } = this;
    if (!this.isHearing) return;
    this.later = '';
    this.push(later);
    if (this.isHearing) this.socket.resume();
  }

  private line(text: string): void {
    if (text.length > this.mostCharacters) {
      this.refuse(`more than ${this.mostCharacters} characters`);
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.refuse('something that is not JSON');
      return;
    }
    this.pay(text.length);
    this.listener.message(value);
  }

  /** A message has been read: the next one may have to wait. */
  private pay(characters: number): void {
    const { clock, socket } = this;
    if (clock === undefined) return;
    const waitMs = this.bucket.take(1 + characters / CHARACTERS, clock.monotonicMs());
    if (waitMs === 0) return;
    this.isResting = true;
    socket.pause();
    this.cancelRest = clock.after(waitMs, () => {
      this.isResting = false;
      this.goOn();
    });
  }

  private refuse(what: string): void {
    this.destroy();
    this.listener.garbage(what);
  }

  private shut(): void {
    this.isOpen = false;
    this.cancelRest?.();
    this.begun = '';
    this.later = '';
  }

  private end(): void {
    if (!this.isOpen) return;
    this.shut();
    this.listener.closed();
  }
}
