// Messages between monitor and engine: a line of JSON each, bounded.
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

/** Who takes what comes over a channel. */
export interface ChannelListener {
  /** A message: any JSON value, not yet checked. */
  message(value: unknown): void;
  /** Something that is no message: not JSON, or longer than allowed. What follows it is read all the same. */
  garbage(why: string): void;
  /** The other side has gone; nothing more will come. */
  closed(): void;
}

/** Bytes that may wait for the other side to read. */
const MOST_WAITING = 1 << 18;

/** Messages over a socket: a line of JSON each, of a bounded length. Nothing that comes in can make it grow. */
export class Channel {
  private readonly decoder = new StringDecoder('utf8');
  private rest = '';
  private skipping = false;
  /** the other side does not read what we have sent, so we do not read what it sends */
  private isDeaf = false;
  private isOpen = true;

  /** @param mostCharacters - of a message that comes in */
  constructor(
    private readonly socket: Socket,
    private readonly mostCharacters: number,
    private readonly listener: ChannelListener,
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
      this.push('');
      if (!this.isDeaf) socket.resume();
    });
  }

  /** Hands over what was sent, and closes. */
  close(): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    this.isOpen = false;
    return new Promise((resolve) => {
      this.socket.once('close', () => resolve());
      this.socket.end(() => this.socket.destroy());
    });
  }

  private push(text: string): void {
    const all = this.rest + text;
    let from = 0;
    // while we are deaf, what has come already waits as it is
    for (let at = all.indexOf('\n'); at >= 0 && !this.isDeaf; at = all.indexOf('\n', from)) {
      this.line(all.slice(from, at));
      from = at + 1;
    }
    this.rest = all.slice(from);
    if (this.isDeaf) return;
    if (this.skipping) this.rest = '';
    if (this.rest.length <= this.mostCharacters) return;
    this.rest = '';
    this.skipping = true;
    this.listener.garbage(`a message of more than ${this.mostCharacters} characters`);
  }

  private line(text: string): void {
    if (this.skipping) {
      this.skipping = false;
      return;
    }
    if (text.length > this.mostCharacters) {
      this.listener.garbage(`a message of ${text.length} characters`);
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.listener.garbage('something that is not JSON');
      return;
    }
    this.listener.message(value);
  }

  private end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.listener.closed();
  }
}
