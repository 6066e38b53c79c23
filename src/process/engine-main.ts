// The engine's entry: started by the monitor, which is at the other end of the channel. As cli.ts it imports nothing
// by itself, and its first statement is the handler without which SIGUSR1 has Node open its debugger.
process.on('SIGUSR1', () => undefined);
// it is for the monitor, which tells us
process.on('SIGHUP', () => undefined);

async function start(): Promise<void> {
  (await import('./debugger.js')).keepDebuggerShut();
  (await import('./descriptors.js')).closeInherited();
  (await import('./engine-process.js')).startEngine();
}

/** EX_SOFTWARE and EX_OSERR of sysexits(3) */
const [SOFTWARE, OSERR] = [70, 71] as const;

start().catch((error: Error & { readonly code?: string }) => {
  const isShort = error.code === 'EMFILE' || error.code === 'ENFILE';
  const why = isShort ? `too many open files (${error.code})` : (error.stack ?? String(error));
  process.stderr.write(`mxallowd: the engine cannot be started: ${why}\n`);
  process.exit(isShort ? OSERR : SOFTWARE);
});
