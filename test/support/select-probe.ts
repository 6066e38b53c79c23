/**
 * Run as a process of its own by the tests of selectSource: with packages and a tcpdump that are there or not,
 * whatever this machine has. Prints, for each case of argv[2], the description of the source or the error.
 */
import fs from 'node:fs';
import { register, syncBuiltinESMExports } from 'node:module';
import type { CaptureSettings } from '../../src/capture/select.js';

/** One call of selectSource. */
export type ProbeCase = Pick<CaptureSettings, 'capture' | 'platform' | 'architecture' | 'filter'> & {
  readonly tcpdumpPath?: string;
};

/** What is there, and what to ask. */
export interface ProbeRequest {
  /** which of the packages koffi, pcap and cap can be loaded */
  readonly packages: readonly string[];
  /** paths at which a tcpdump can be run */
  readonly tcpdumps: readonly string[];
  readonly cases: readonly ProbeCase[];
}

/** What came of one call. */
export type ProbeAnswer =
  { readonly description: string } | { readonly error: string; readonly kind: string };

/** A loader hook (node:module `register`) by which the packages are missing, or do nothing. */
function packageHook(packages: readonly string[]): URL {
  const text = `
    const there = ${JSON.stringify(packages)};
    export async function resolve(name, context, next) {
      if (!['koffi', 'pcap', 'cap'].includes(name)) return next(name, context);
      if (!there.includes(name)) throw new Error('Cannot find package');
      const source = 'export default {}; export const load = () => ({ func: () => () => -1 });';
      return { url: 'data:text/javascript,' + encodeURIComponent(source), shortCircuit: true };
    }`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

async function probe(request: ProbeRequest): Promise<ProbeAnswer[]> {
  register(packageHook(request.packages));
  fs.accessSync = (path) => {
    if (!request.tcpdumps.includes(String(path))) throw new Error('ENOENT');
  };
  syncBuiltinESMExports();
  const { selectSource } = await import('../../src/capture/select.js');
  const { CaptureError } = await import('../../src/capture/source.js');
  const answers: ProbeAnswer[] = [];
  for (const one of request.cases) {
    try {
      const source = await selectSource({
        tcpdumpPath: undefined,
        ...one,
        release: '14.1',
        interfaceName: 'pflog0',
        wallClockMs: () => 0,
      });
      answers.push({ description: source.description });
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      answers.push({ error: error.message, kind: error.kind });
    }
  }
  return answers;
}

const request = process.argv[2];
if (request !== undefined) console.log(JSON.stringify(await probe(JSON.parse(request) as ProbeRequest)));
