/**
 * Run as a process of its own: opens a source on the stand-in for /dev/bpf of argv[2], takes a frame, and closes it.
 * Says so, and should then end by itself. With the word "fail" in argv[3] whoever takes the frame fails.
 */
import { makeBpfSource } from '../../src/capture/bpf.js';
import { bpfReads } from './bpf-buffers.js';
import { loadBpfKernel, loaderOf } from './bpf-kernel.js';
import { KeepingSink } from './frame-sink.js';

async function main(folder: string, fails: boolean): Promise<void> {
  const kernel = await loadBpfKernel(folder);
  if (typeof kernel === 'string') throw new Error(kernel);
  kernel.start();
  const settings = {
    interfaceName: 'pflog0',
    filter: 'port 25',
    platform: 'freebsd',
    architecture: 'x64',
  } as const;
  const source = await makeBpfSource(settings, loaderOf(kernel));
  const sink = new KeepingSink(() => {
    if (fails) throw new Error(`a bug; device: ${kernel.transcript().at(-1)}`);
  });
  await source.open(sink);
  kernel.capture(bpfReads('immediate.raw')[1] ?? new Uint8Array(0));
  await sink.until(() => sink.frames.length === 1);
  await source.close();
  console.log(kernel.transcript().at(-1));
}

const folder = process.argv[2];
if (folder !== undefined) await main(folder, process.argv[3] === 'fail');
