// SIGHUP that comes before it is known what this process becomes.

/** What the entry keeps of SIGHUP until somebody knows what it means. */
export interface EarlyHangup {
  readonly hasCome: boolean;
  /** the handler that the entry has installed */
  readonly keep: () => void;
}

/** For the daemon: from now on SIGHUP means this, and one that came before means it, too. */
export function takeHangup(early: EarlyHangup, means: () => void): void {
  process.on('SIGHUP', means);
  process.off('SIGHUP', early.keep);
  if (early.hasCome) means();
}

/**
 * For whatever is no daemon: SIGHUP ends it, as it ends any program, unless somebody else listens. The handler stays:
 * one that is taken away takes with it what the kernel has delivered and nobody has heard yet.
 */
export function dieOfHangup(early: EarlyHangup): void {
  const die = (): void => {
    if (process.listenerCount('SIGHUP') > 1) return;
    process.removeAllListeners('SIGHUP');
    process.kill(process.pid, 'SIGHUP');
  };
  process.on('SIGHUP', die);
  process.off('SIGHUP', early.keep);
  if (early.hasCome) die();
}
