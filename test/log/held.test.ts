import assert from 'node:assert/strict';
import { it } from 'node:test';
import { holdBack } from '../../src/log/held.js';
import type { Log } from '../../src/log/log.js';

function keeping(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log: Log = {
    write: (level, message) => void lines.push(`${level}: ${message}`),
    isEnabled: () => true,
    setLevel: () => undefined,
    description: 'this list',
    lost: 0,
    close: () => Promise.resolve(void lines.push('closed')),
  };
  return { log, lines };
}

it('lines wait until they are released, and go out in their order', () => {
  const { log, lines } = keeping();
  const held = holdBack(log);
  held.log.write('info', 'one', { event: 'x' });
  held.log.write('warn', 'two', { event: 'x' });
  assert.deepEqual(lines, []);
  held.release();
  held.log.write('info', 'three', { event: 'x' });
  held.release();
  assert.deepEqual(lines, ['info: one', 'warn: two', 'info: three']);
});

it('a log that is closed before loses nothing', async () => {
  const { log, lines } = keeping();
  const held = holdBack(log);
  held.log.write('error', 'cannot start', { event: 'x' });
  await held.log.close();
  assert.deepEqual(lines, ['error: cannot start', 'closed']);
});

it('no more lines wait than a start can have', () => {
  const { log, lines } = keeping();
  const held = holdBack(log);
  for (let line = 0; line < 5000; line++) held.log.write('info', `${line}`, { event: 'x' });
  held.release();
  assert.equal(lines.length, 1000);
});
