import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { difference } from '../../src/pf/difference.js';
import { Scratch } from '../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

/** Applies a difference to the lines of a text, as patch(1) would. */
function patched(before: string, hunks: readonly string[]): string {
  const lines = before === '' ? [] : before.split('\n').slice(0, -1);
  const result: string[] = [];
  let at = 0;
  for (const line of hunks) {
    const head = /^@@ -(\d+),(\d+) \+/.exec(line);
    if (head !== null) {
      const start = Number(head[1]) - (head[2] === '0' ? 0 : 1);
      result.push(...lines.slice(at, start));
      at = start;
    } else if (line.startsWith('+')) result.push(line.slice(1));
    else {
      assert.equal(lines[at], line.slice(1));
      if (line.startsWith(' ')) result.push(line.slice(1));
      at++;
    }
  }
  return [...result, ...lines.slice(at)].map((line) => `${line}\n`).join('');
}

describe('the difference of two texts', () => {
  it('is empty for the same text', () => assert.deepEqual(difference('a\nb\n', 'a\nb\n'), []));

  it('shows an inserted line with three lines around it', () => {
    assert.deepEqual(difference('1\n2\n3\n4\n5\n6\n7\n8\n', '1\n2\n3\n4\nx\n5\n6\n7\n8\n'), [
      '@@ -2,6 +2,7 @@',
      ...[' 2', ' 3', ' 4', '+x', ' 5', ' 6', ' 7'],
    ]);
  });

  it('shows changes far apart in hunks of their own', () => {
    const before = Array.from({ length: 20 }, (_, i) => `${i + 1}\n`).join('');
    const after = `a\n${before.replace('20\n', 'b\n')}`;
    assert.deepEqual(
      difference(before, after).filter((line) => /^[@+-]/.test(line)),
      ['@@ -1,3 +1,4 @@', '+a', '@@ -17,4 +18,4 @@', '-20', '+b'],
    );
  });

  it('shows a new file, and a removed one', () => {
    assert.deepEqual(difference('', 'a\nb\n'), ['@@ -0,0 +1,2 @@', '+a', '+b']);
    assert.deepEqual(difference('a\n', ''), ['@@ -1,1 +0,0 @@', '-a']);
  });

  it('says that a newline is missing', () => {
    assert.deepEqual(difference('a', 'a\nb\n'), [
      '@@ -1,1 +1,2 @@',
      '-a',
      '\\ No newline at end of file',
      '+a',
      '+b',
    ]);
  });

  it('leads from one text to the other', () => {
    const texts = fc
      .array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 30 })
      .map((lines) => lines.map((l) => `${l}\n`).join(''));
    fc.assert(
      fc.property(texts, texts, (before, after) =>
        assert.equal(patched(before, difference(before, after)), after),
      ),
    );
  });

  it('is what diff -u prints, for one change', (t) => {
    const before = Array.from({ length: 30 }, (_, i) => `line ${i}\n`);
    const [old, fresh] = [before, before.toSpliced(10, 0, 'new\n', 'newer\n')].map((lines) => lines.join(''));
    const files = [scratch.file('old', old ?? ''), scratch.file('new', fresh ?? '')];
    const { stdout, error } = spawnSync('diff', ['-u', ...files], { encoding: 'utf8' });
    if (error !== undefined) return t.skip('there is no diff');
    assert.deepEqual(difference(old ?? '', fresh ?? ''), stdout.split('\n').slice(2, -1));
  });
});
