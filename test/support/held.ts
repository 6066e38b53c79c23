/** Whether this machine can hold a process as one that sleeps in the kernel is held; else why not. */
export const CANNOT_HOLD =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'needs Linux and root' : (false as const);
