// The C library, through koffi, where that loads.
import type * as Koffi from 'koffi';

/** A function of the C library; numbers, strings, and typed arrays for pointers to memory. */
export type NativeFunction = (...values: unknown[]) => unknown;

/** The C library, called through the optional package koffi. */
export interface Libc {
  readonly koffi: typeof Koffi;
  /** Makes a function of the C library callable; undefined when it has none of this name. */
  readonly find: (prototype: string) => NativeFunction | undefined;
}

/** The functions that we need are there, or why not, in words. */
export type LibcResult =
  { readonly ok: true; readonly libc: Libc } | { readonly ok: false; readonly message: string };

/** Loads koffi, and with it the C library that Node itself runs on. */
export async function loadLibc(): Promise<LibcResult> {
  let koffi: typeof Koffi;
  try {
    koffi = await import('koffi');
  } catch (error) {
    return { ok: false, message: whyNotLoaded(error as NodeJS.ErrnoException) };
  }
  const library = koffi.load(null);
  const find = (prototype: string): NativeFunction | undefined => {
    try {
      return library.func(prototype);
    } catch {
      return undefined;
    }
  };
  return { ok: true, libc: { koffi, find } };
}

/** What is wrong with koffi, in words: that there are no descriptors left does not mean that it is not there. */
function whyNotLoaded({ code }: NodeJS.ErrnoException): string {
  return code === 'EMFILE' || code === 'ENFILE'
    ? `cannot load the npm package koffi: too many open files (${code})`
    : 'needs the npm package koffi (npm install koffi; it comes compiled for Linux, FreeBSD and OpenBSD)';
}
