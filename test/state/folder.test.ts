import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { prepareStateFolder } from '../../src/state/folder.js';

const isRoot = process.getuid?.() === 0;
const needsRoot = { skip: !isRoot && 'not root' };
const NOBODY = 65534;
const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('the folder of the state file', () => {
  let place: string;
  let folder: string;

  beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), 'mxallowd-folder-'));
    chmodSync(place, 0o755);
    folder = join(place, 'mxallowd');
  });
  afterEach(() => rmSync(place, { recursive: true, force: true }));

  /** What is said of it. */
  function prepare(uid = self.uid, gid = self.gid): string[] {
    return prepareStateFolder(join(folder, 'state'), uid, gid).map(
      ({ severity, message }) => `${severity}: ${message.replaceAll(place, '')}`,
    );
  }

  it("is made, for the user's eyes only, once", needsRoot, () => {
    assert.deepEqual(prepare(NOBODY, 65533), []);
    const { uid, gid, mode } = lstatSync(folder);
    assert.deepEqual([uid, gid, mode & 0o7777], [NOBODY, 65533, 0o700]);
    assert.deepEqual(prepare(NOBODY, 65533), []);
  });

  it('is made without root as well, for oneself', () => {
    assert.deepEqual(prepare(), []);
    assert.equal(lstatSync(folder).mode & 0o7777, 0o700);
  });

  it('stays as it is when it is there', needsRoot, () => {
    mkdirSync(folder, { mode: 0o750 });
    chownSync(folder, 1234, 1234);
    assert.deepEqual(prepare(NOBODY), [
      'warning: the folder /mxallowd for the state file belongs to the user with number 1234, mxallowd runs as the user with number 65534: chown -R it',
    ]);
    const { uid, mode } = lstatSync(folder);
    assert.deepEqual([uid, mode & 0o7777], [1234, 0o750]);
  });

  it('should not be open to everybody', () => {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    assert.deepEqual(prepare(), [
      'warning: the folder /mxallowd for the state file may be written by everybody: chmod o-w it',
    ]);
  });

  it('is not made, nor given away, through a symbolic link', () => {
    const target = join(place, 'target');
    symlinkSync(target, folder);
    const message =
      'error: the folder /mxallowd for the state file is a symbolic link, which is not followed';
    assert.deepEqual(prepare(NOBODY), [message]);
    assert.equal(existsSync(target), false);
    mkdirSync(target);
    assert.deepEqual(prepare(NOBODY), [message]);
    assert.equal(lstatSync(target).uid, self.uid);
  });

  it('may not be a file', () => {
    writeFileSync(folder, '');
    assert.deepEqual(prepare(), ['error: the folder /mxallowd for the state file is no folder']);
  });

  it('is not made without its parent', () => {
    folder = join(place, 'none', 'mxallowd');
    assert.deepEqual(prepare(), [
      'error: the folder /none/mxallowd for the state file cannot be made: its parent does not exist',
    ]);
    assert.equal(existsSync(join(place, 'none')), false);
  });

  it('is not made where that is not allowed', needsRoot, () => {
    process.seteuid?.(NOBODY);
    try {
      assert.deepEqual(prepare(NOBODY), [
        'error: the folder /mxallowd for the state file cannot be made: permission denied (EACCES)',
      ]);
    } finally {
      process.seteuid?.(0);
    }
  });

  it('is not left behind when it cannot be given away', needsRoot, () => {
    chmodSync(place, 0o777);
    process.seteuid?.(NOBODY);
    try {
      assert.deepEqual(prepare(1234, 1234), [
        'error: the folder /mxallowd for the state file cannot be made: not permitted (EPERM)',
      ]);
    } finally {
      process.seteuid?.(0);
    }
    assert.equal(existsSync(folder), false);
  });
});
