import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitStatusOf, formatFinding, formatSummary } from '../../src/check/report.js';
import { finding } from '../../src/pf/finding.js';

describe('formatFinding', () => {
  it('says how bad it is, what is found, and what to do', () => {
    assert.deepEqual(formatFinding(finding('ok', 'pf-enabled', 'pf: is enabled')), [
      'ok       pf: is enabled',
    ]);
    assert.deepEqual(formatFinding(finding('warning', 'x', 'a thing', 'do this')), [
      'warning  a thing',
      '         -> do this',
    ]);
  });

  it('stays within 80 columns, and breaks no word: it may be copied', () => {
    const words = Array.from({ length: 60 }, (_, i) => 'word'.repeat((i % 5) + 1)).join(' ');
    const path = `/${'y'.repeat(200)}`;
    const lines = formatFinding(finding('note', 'x', `${words} ${path}`, words));
    assert.ok(lines.every((line) => line.length <= 80 || line.trim() === path));
    assert.ok(lines.some((line) => line.length > 75));
    const told = lines.map((line) => line.slice(9).replace(/^(-> | {3})/, '')).join(' ');
    assert.equal(told, `${words} ${path} ${words}`);
  });
});

describe('the end of a report', () => {
  const ok = finding('ok', 'a', 'a');
  const note = finding('note', 'b', 'b');
  const warning = finding('warning', 'c', 'c');
  const error = finding('error', 'd', 'd');

  it('counts what is not well', () => {
    assert.equal(formatSummary([ok, ok]), 'all is well: 2 checks');
    assert.equal(formatSummary([ok, note]), '1 note');
    assert.equal(formatSummary([error, ok, note, note, error, warning]), '2 errors, 1 warning, 2 notes');
  });

  it('gives the exit status: 0 up to notes, 1 with a warning, 2 with an error', () => {
    assert.equal(exitStatusOf([]), 0);
    assert.equal(exitStatusOf([ok]), 0);
    assert.equal(exitStatusOf([note, ok]), 0);
    assert.equal(exitStatusOf([warning, note]), 1);
    assert.equal(exitStatusOf([ok, error, warning]), 2);
  });
});
