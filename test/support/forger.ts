import { Socket } from 'node:net';

/**
 * Stands in for an engine that somebody has taken over: sends what it is told on the channel to the monitor, a line
 * for each argument (`10MB`, `TOWER` and `FLOOD` stand for longer ones, `DEAF` at first reads nothing), says that it is
 * ready, and stays. Asked for its statistics, it asks for nonsense.
 */
const LONG: Readonly<Record<string, () => string>> = {
  '10MB': () => 'x'.repeat(10 << 20),
  TOWER: () => `{"id":1,"request":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  FLOOD: () => Array.from({ length: 300_000 }, (_, id) => `{"id":${id},"request":"nonsense"}`).join('\n'),
};
const channel = new Socket({ fd: 3, readable: true, writable: true });
const [first, ...rest] = process.argv.slice(2);
if (first === 'FAIL')
  channel.write('{"event":"failed","message":"because","exitStatus":0}\n', () => process.exit(0));
else channel.write('{"event":"ready"}\n');
for (const text of first === undefined || first === 'FAIL' ? [] : [first, ...rest]) {
  if (text === 'DEAF') continue;
  channel.write(`${LONG[text]?.() ?? text}\n`);
}
if (first !== 'DEAF')
  channel.on('data', (data) => {
    if (String(data).includes('"stop"')) process.exit(0);
    if (String(data).includes('"statistics"')) channel.write('{"id":9,"request":"nonsense"}\n');
  });
channel.on('close', () => process.exit(0));
