// Senders of mail, as many as are asked for, each with an address of its own.
import { connect } from 'node:net';
import type { Outcome, SendOrder, SendResult } from './messages.js';

const DIALOGUE = [
  'EHLO sender.example.net',
  'MAIL FROM:<a@example.net>',
  'RCPT TO:<b@example.org>',
  'DATA',
  'Subject: hello\r\n\r\nhello\r\n.',
  'QUIT',
];
/** The answer to the message itself (RFC 5321): to the fifth command. */
const TAKEN = 6;

process.on('message', (order: SendOrder) => void send(order));
process.once('disconnect', () => process.exit());

async function send({ id, from, to, port, timeoutMs }: SendOrder): Promise<void> {
  const startMs = performance.now();
  const outcome = await new Promise<Outcome>((resolve) => {
    const socket = connect({ host: to, port, localAddress: from, timeout: timeoutMs });
    const end = (how: Outcome): void => {
      resolve(how);
      socket.destroy();
    };
    let answers = 0;
    let unread = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (unread + text).split('\r\n');
      unread = lines.pop() ?? '';
      for (const line of lines) {
        if (!/^[23]\d\d /.test(line)) continue;
        answers++;
        if (answers === TAKEN) end('delivered');
        else socket.write(`${DIALOGUE[answers - 1]}\r\n`);
      }
    });
    socket.once('timeout', () => end('no answer'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const known: Record<string, Outcome> = { ECONNREFUSED: 'refused', ETIMEDOUT: 'no answer' };
      end(known[error.code ?? ''] ?? 'failed');
    });
    socket.once('close', () => end('failed'));
  });
  const result: SendResult = { id, outcome, tookMs: performance.now() - startMs };
  process.send?.(result);
}
