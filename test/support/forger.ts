import { Socket } from 'node:net';

/**
 * Stands in for an engine that somebody has taken over: sends what it is told on the channel to the monitor, a line
 * for each argument (`10MB` stands for that much), says that it is ready, and stays.
 */
const channel = new Socket({ fd: 3, readable: true, writable: true });
channel.write('{"event":"ready"}\n');
for (const text of process.argv.slice(2)) {
  channel.write(text === '10MB' ? `${'x'.repeat(10 << 20)}\n` : `${text}\n`);
}
channel.on('data', (data) => {
  if (String(data).includes('"stop"')) process.exit(0);
});
channel.on('close', () => process.exit(0));
