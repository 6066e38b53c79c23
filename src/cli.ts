#!/usr/bin/env node
// The entry: what cannot wait for the other files, and then those that do what was asked for.
//
// Until a handler is there, SIGUSR1 has Node open its debugger, and SIGHUP ends us. So this file imports nothing by
// itself (imports are read and run before the first statement), and its first statement is that handler. An old Node
// must be able to read it, too: no syntax that is younger than ES2019.
process.on('SIGUSR1', () => undefined);

/** The oldest Node that the rest works with, as package.json has it. */
const OLDEST = [20, 19] as const;
/** EX_UNAVAILABLE, EX_SOFTWARE and EX_OSERR of sysexits(3) */
const [UNAVAILABLE, SOFTWARE, OSERR] = [69, 70, 71] as const;

const hangup = {
  hasCome: false,
  keep: (): void => {
    hangup.hasCome = true;
  },
};

function isTooOld(): boolean {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
}

async function start(): Promise<void> {
  (await import('./process/debugger.js')).keepDebuggerShut();
  const { isBackgroundChild } = await import('./process/background.js');
  // the daemon in the background stays small: it does not load what reads a command line
  if (isBackgroundChild(process.env)) {
    (await import('./process/descriptors.js')).closeInherited();
    (await import('./process/v8.js')).staySmall();
    await (await import('./process/background-main.js')).main(hangup);
  } else await (await import('./commands/command-line.js')).main(hangup);
}

function fail(error: Error & { readonly code?: string }): void {
  const isShort = error.code === 'EMFILE' || error.code === 'ENFILE';
  const why = isShort
    ? `too many open files (${error.code}): raise the limit, see "ulimit -n"`
    : `bug: ${error.stack === undefined ? String(error) : error.stack}`;
  process.stderr.write(`mxallowd: ${why}\n`);
  process.exit(isShort ? OSERR : SOFTWARE);
}

if (isTooOld()) {
  const wanted = OLDEST.join('.');
  process.stderr.write(`mxallowd needs Node.js ${wanted} or newer, this is ${process.versions.node}\n`);
  process.exit(UNAVAILABLE);
} else {
  process.on('SIGHUP', hangup.keep);
  start().catch(fail);
}
