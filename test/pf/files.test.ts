import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { keepBackup, readBytes, replaceFile, takeLock, targetOf, writeNew } from '../../src/pf/files.js';
import { Scratch } from '../support/cli.js';

const scratch = new Scratch();
after(() => scratch.remove());

describe('a file of pf', () => {
  it('is read and written byte by byte', () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const path = scratch.file('bytes', bytes);
    writeNew(scratch.path('copy'), readBytes(path) ?? '', path);
    assert.deepEqual(readFileSync(scratch.path('copy')), bytes);
    assert.equal(readBytes(scratch.path('none')), undefined);
  });

  it('gets the mode of another, and does not follow a link that lies in its place', () => {
    const like = scratch.file('like', '');
    chmodSync(like, 0o640);
    const victim = scratch.file('victim', 'precious');
    symlinkSync(victim, scratch.path('fresh'));
    writeNew(scratch.path('fresh'), 'x', like);
    assert.equal(statSync(scratch.path('fresh')).mode & 0o7777, 0o640);
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.equal(targetOf(scratch.path('fresh')), targetOf(scratch.folder) + '/fresh');
  });

  it('is replaced, and comes back as the file that it was', () => {
    const path = scratch.file('main', 'old');
    const { ino } = statSync(path);
    const back = replaceFile(path, scratch.file('main.new', 'new'), scratch.path('main.old'));
    assert.equal(readFileSync(path, 'utf8'), 'new');
    back();
    assert.equal(readFileSync(path, 'utf8'), 'old');
    assert.equal(statSync(path).ino, ino);
  });

  it('that was not there is gone again', () => {
    const path = scratch.path('young');
    replaceFile(path, scratch.file('young.new', 'new'), scratch.path('young.old'))();
    assert.equal(readBytes(path), undefined);
    assert.equal(readBytes(scratch.path('young.old')), undefined);
  });
});

describe('a backup', () => {
  it('never replaces another: it gets a number, and the same text is kept once', () => {
    const like = scratch.file('conf', '');
    const path = scratch.path('conf.before');
    assert.equal(keepBackup(path, 'one', like), path);
    assert.equal(keepBackup(path, 'two', like), `${path}.1`);
    assert.equal(keepBackup(path, 'three', like), `${path}.2`);
    assert.equal(keepBackup(path, 'two', like), `${path}.1`);
    assert.deepEqual(
      ['', '.1', '.2'].map((end) => readBytes(path + end)),
      ['one', 'two', 'three'],
    );
  });
});

describe('a lock', () => {
  it('is for one process; one that died has none', () => {
    const path = scratch.path('lock');
    assert.equal(takeLock(path), undefined);
    assert.equal(readBytes(path), `${process.pid}\n`);
    assert.equal(takeLock(path), process.pid);
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    for (const left of [`${pid}\n`, '', 'x\n', '-1\n']) {
      writeFileSync(path, left);
      assert.equal(takeLock(path), undefined, JSON.stringify(left));
    }
    assert.deepEqual(
      readdirSync(scratch.folder).filter((name) => name.startsWith('lock')),
      ['lock'],
    );
  });
});
