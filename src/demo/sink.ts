// The mail server behind the real MX, as far as senders see it (RFC 5321): takes what it gets and keeps nothing.
import { createServer, type Socket } from 'node:net';
import type { SinkMessage, SinkOrder } from './messages.js';

/** A sender may say so much before a line ends, and no more. */
const MOST_UNREAD = 1 << 16;

process.on('message', (order: SinkOrder) => {
  if ('ask' in order) {
    tell({ asked: order.ask });
    return;
  }
  const { addresses, port } = order;
  let open = addresses.length;
  for (const address of addresses) {
    const server = createServer(serve);
    server.once('error', (error) => tell({ failed: error.message }));
    server.listen(port, address, () => {
      if (--open === 0) tell({ listening: true });
    });
  }
});
process.once('disconnect', () => process.exit());

function serve(socket: Socket): void {
  const from = socket.remoteAddress ?? '';
  let unread = '';
  let inData = false;
  const answer = (line: string): void => {
    if (inData) {
      if (line !== '.') return;
      inData = false;
      tell({ delivered: from });
      socket.write('250 taken\r\n');
    } else if (/^DATA$/i.test(line)) {
      inData = true;
      socket.write('354 go on\r\n');
    } else if (/^QUIT$/i.test(line)) socket.end('221 bye\r\n');
    else socket.write('250 ok\r\n');
  };
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (text: string) => {
    const lines = (unread + text).split('\r\n');
    unread = lines.pop() ?? '';
    if (unread.length > MOST_UNREAD) socket.destroy();
    else lines.forEach(answer);
  });
  socket.write('220 mx.example.org ESMTP\r\n');
}

function tell(message: SinkMessage): void {
  process.send?.(message);
}
