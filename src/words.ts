// Words that all messages share: counts, and what the system says of a call that failed.
import { getSystemErrorMap } from 'node:util';

/**
 * `1 entry`, `2 entries`, `1234 packets`.
 * @param format - how the number is written
 */
export function amount(
  value: number,
  one: string,
  many = `${one}s`,
  format: (value: number) => string = String,
): string {
  return `${format(value)} ${value === 1 ? one : many}`;
}

/** Where libuv speaks to programmers (include/uv.h, UV_ERRNO_MAP). */
const PLAIN: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of its path is no folder',
  ELOOP: 'its symbolic links lead in a circle',
  EHOSTUNREACH: 'there is no way to this host',
  ENETUNREACH: 'there is no way to this network',
};

/** Why a call of the system failed, without the call and the path: `permission denied`. */
export function systemWords(error: unknown): string {
  const { code = '', errno = 0, message = String(error) } = error as Partial<NodeJS.ErrnoException>;
  // other libraries number their errors as they like
  const [name, words] = getSystemErrorMap().get(errno) ?? [];
  return PLAIN[code] ?? (name === code ? words : undefined) ?? message;
}
