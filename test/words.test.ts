import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { amount, systemWords } from '../src/words.js';

/** What a call throws. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail('it threw nothing');
}

describe('an amount', () => {
  it('has one of a thing, and many', () => {
    assert.equal(amount(1, 'frame'), '1 frame');
    assert.equal(amount(0, 'frame'), '0 frames');
    assert.equal(amount(1, 'entry', 'entries'), '1 entry');
    assert.equal(amount(20_000, 'entry', 'entries'), '20000 entries');
    assert.equal(
      amount(2, 'x', 'xs', (value) => `<${value}>`),
      '<2> xs',
    );
  });
});

describe('what the system says', () => {
  it('is told without the call, the path and the number', async () => {
    assert.equal(systemWords(thrownBy(() => readFileSync('/nonexistent'))), 'there is no such file');
    assert.equal(systemWords(thrownBy(() => readFileSync('/'))), 'it is a folder, not a file');
    const [spawned] = (await once(spawn('/nonexistent'), 'error')) as [unknown];
    assert.equal(systemWords(spawned), 'there is no such file');
    const socket = connect('/nonexistent/socket');
    const [refused] = (await once(socket, 'error')) as [unknown];
    assert.equal(systemWords(refused), 'there is no such file');
    assert.equal(
      systemWords(Object.assign(new Error('x'), { code: 'EACCES', errno: -13 })),
      'permission denied',
    );
  });

  it('is the message of what is no error of the system, whatever number it has', () => {
    const zlib = thrownBy(() => gunzipSync(Buffer.from('no gzip')));
    assert.equal(systemWords(zlib), 'incorrect header check');
    assert.equal(systemWords(new Error('something')), 'something');
    assert.equal(systemWords('a text'), 'a text');
  });
});
