// What is wrong with a state file.
import { escapeText } from '../packet/escape.js';

/** Something about the state file that an administrator should know. */
export interface StateProblem {
  /** `note`: nothing is lost or to be done; `warning`: something is; `error`: nothing can be kept */
  readonly severity: 'note' | 'warning' | 'error';
  /** a sentence for people, escaped */
  readonly message: string;
}

/** Error numbers that an administrator can do something about. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is no folder',
  EISDIR: 'it is a folder',
  ENOTEMPTY: 'a folder is in its place',
  EEXIST: 'something else is in its place',
  // what opening a symbolic link with O_NOFOLLOW gives: ELOOP, FreeBSD EMLINK
  ELOOP: 'it is a symbolic link, which is not followed',
  EMLINK: 'it is a symbolic link, which is not followed',
  ENXIO: 'it is no regular file',
  EIO: 'input/output error',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EFBIG: 'the file is too large',
};

/** The error's number, as `ENOSPC`; empty when it has none. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
}

/** An error of the file system in words, with its number. */
export function errorWords(error: unknown): string {
  const code = errorCode(error);
  const words = WORDS[code];
  if (words !== undefined) return `${words} (${code})`;
  return escapeText(error instanceof Error ? error.message : String(error));
}
