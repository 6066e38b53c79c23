// Connects to a port, and says what came of it.
import { connect } from 'node:net';
import { systemWords } from '../words.js';

/** What came of an attempt to connect. */
export type TcpAnswer =
  /** `greeting`: the first line that came, without its end; empty when none came in time; unescaped */
  | { readonly kind: 'open'; readonly greeting: string }
  | { readonly kind: 'refused' }
  /** no answer in time */
  | { readonly kind: 'silent' }
  /** in words */
  | { readonly kind: 'unreachable'; readonly why: string };

/** How long to wait. */
export interface TcpTimes {
  readonly connectMs: number;
  /** 0: the greeting is not waited for */
  readonly greetingMs: number;
}

const LONGEST_GREETING = 512;

/** Connects, reads the first line if that is wanted, and hangs up. Never rejects. */
export function tryConnect(host: string, port: number, times: TcpTimes): Promise<TcpAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let isOpen = false;
    let text = '';
    let timer = setTimeout(() => end({ kind: 'silent' }), times.connectMs);
    const end = (answer: TcpAnswer): void => {
      clearTimeout(timer);
      resolve(answer);
      socket.destroy();
    };
    const greeted = (): void => {
      const greeting = text.split(/\r?\n/, 1)[0] ?? '';
      // the server has said all it had to say: leave as a client should
      if (/^\d{3} /.test(greeting)) socket.write('QUIT\r\n', () => end({ kind: 'open', greeting }));
      else end({ kind: 'open', greeting });
    };
    socket.setEncoding('latin1');
    socket.once('connect', () => {
      isOpen = true;
      clearTimeout(timer);
      if (times.greetingMs === 0) end({ kind: 'open', greeting: '' });
      else timer = setTimeout(() => end({ kind: 'open', greeting: '' }), times.greetingMs);
    });
    socket.on('data', (chunk: string) => {
      if (text.includes('\n') || text.length >= LONGEST_GREETING) return;
      text = (text + chunk).slice(0, LONGEST_GREETING);
      if (text.includes('\n') || text.length >= LONGEST_GREETING) greeted();
    });
    socket.once('end', () => end({ kind: 'open', greeting: text.trim() }));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const { code } = error;
      if (isOpen) end({ kind: 'open', greeting: text.trim() });
      else if (code === 'ECONNREFUSED') end({ kind: 'refused' });
      else if (code === 'ETIMEDOUT') end({ kind: 'silent' });
      else end({ kind: 'unreachable', why: systemWords(error) });
    });
  });
}
