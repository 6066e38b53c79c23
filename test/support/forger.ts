import { Socket } from 'node:net';

/**
 * Stands in for an engine that somebody has taken over: sends what it is told on the channel to the monitor, a line
 * for each argument (see LONG for words that stand for longer ones; `DEAF` at first reads nothing), says that it is
 * ready, and stays. Asked for its statistics, it asks for nonsense. `GREEDY` has an address added again as soon as it
 * has its answer, `ENDLESS` asks for nonsense without end.
 */
const LONG: Readonly<Record<string, () => string>> = {
  '10MB': () => 'x'.repeat(10 << 20),
  TOWER: () => `{"id":1,"request":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
  FLOOD: () => Array.from({ length: 300_000 }, (_, id) => `{"id":${id},"request":"nonsense"}`).join('\n'),
};
const CRUMB = 'y'.repeat(16);
const GREEDY = '{"id":5,"request":"add","prefixes":["192.0.2.99"]}\n';
const NONSENSE = '{"id":6,"request":"nonsense"}\n'.repeat(1000);

const channel = new Socket({ fd: 3, readable: true, writable: true });
channel.on('error', () => process.exit(0));
const [first, ...rest] = process.argv.slice(2);
if (first === 'FAIL')
  channel.write('{"event":"failed","message":"because","exitStatus":0}\n', () => process.exit(0));
else channel.write('{"event":"ready"}\n');

/** Sends the same for as long as it is taken. */
function endlessly(text: string): void {
  channel.write(text, () => endlessly(text));
}

for (const text of first === undefined || first === 'FAIL' ? [] : [first, ...rest]) {
  if (text === 'DEAF') continue;
  if (text === 'CRUMBS') endlessly(CRUMB);
  else if (text === 'ENDLESS') endlessly(NONSENSE);
  else if (text === 'GREEDY') channel.write(GREEDY);
  else channel.write(`${LONG[text]?.() ?? text}\n`);
}
if (first !== 'DEAF')
  channel.on('data', (data) => {
    if (String(data).includes('"stop"')) process.exit(0);
    if (String(data).includes('"statistics"')) channel.write('{"id":9,"request":"nonsense"}\n');
    if (String(data).includes('"id":5,')) channel.write(GREEDY);
  });
channel.on('close', () => process.exit(0));
