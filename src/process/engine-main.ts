// The engine's process: started by the monitor, which is at the other end of the channel.
import { fstatSync } from 'node:fs';
import { CHANNEL_FD } from '../monitor/messages.js';
import { EngineProcess } from './engine-process.js';
import { Exit } from '../sysexits.js';

// who reads our output may go; the daemon goes on
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

if (!isSocket(CHANNEL_FD)) {
  process.stderr.write('mxallowd: this is the engine, which mxallowd starts by itself\n');
  process.exit(Exit.USAGE);
}
new EngineProcess();

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}
