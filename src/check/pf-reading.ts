// What pf says of its rules; asked once for all probes.
import { readFileSync } from 'node:fs';
import { saidOfFragments, type SaidOfFragments } from '../pf/fragments.js';
import type { RulesSetup } from '../pf/rules.js';
import { parseSkipped } from '../pf/skipped.js';
import type { CheckContext } from './probe.js';
import { type ProgramResult, runProgram } from './program.js';

/** pf's answers about its rules, or why there are none. */
export type PfReading =
  | {
      readonly ok: true;
      /** what `pfctl -s info` prints */
      readonly info: string;
      /** what `pfctl -s rules` prints, with the rules in anchors */
      readonly rules: string;
      readonly setup: RulesSetup;
    }
  | { readonly ok: false; readonly args: string; readonly failure: ProgramResult & { readonly ok: false } };

const readings = new WeakMap<CheckContext, Promise<PfReading>>();

/** Asks pfctl, unless that has been done. */
export function readPf(context: CheckContext): Promise<PfReading> {
  const known = readings.get(context);
  if (known !== undefined) return known;
  const reading = read(context);
  readings.set(context, reading);
  return reading;
}

/** Asks pfctl something. */
export function askPfctl({ config, times }: CheckContext, args: readonly string[]): Promise<ProgramResult> {
  return runProgram(config.pfctl, args, times.childMs);
}

/** One question after the other: OpenBSD's pf lets only one in, anyway; and none after one that hangs. */
async function read(context: CheckContext): Promise<PfReading> {
  const info = await askPfctl(context, ['-s', 'info']);
  if (!info.ok) return { ok: false, args: '-s info', failure: info };
  const main = await askPfctl(context, ['-s', 'rules']);
  if (!main.ok) return { ok: false, args: '-s rules', failure: main };
  const isAnchored = /^\s*anchor\b/m.test(main.stdout);
  const whole = isAnchored ? await askPfctl(context, ['-a', '*', '-s', 'rules']) : main;
  const interfaces = await askPfctl(context, ['-v', '-s', 'Interfaces']);
  const { config, machine } = context;
  const { platform } = machine;
  // OpenBSD has no translation rules of their own
  const nat = platform === 'openbsd' ? undefined : await askPfctl(context, ['-s', 'nat']);
  return {
    ok: true,
    info: info.stdout,
    rules: whole.ok ? whole.stdout : main.stdout,
    setup: {
      fake: config.fakeMailserver,
      real: config.realMailserver,
      port: config.port,
      outbound: config.outbound,
      table: config.table,
      pflogInterface: config.pflogInterface,
      strangersPort: config.strangers.kind === 'redirect' ? config.strangers.port : undefined,
      os: platform === 'openbsd' || platform === 'freebsd' ? platform : undefined,
      release: machine.release,
      interfaces: platform === 'linux' ? undefined : machine.interfaces,
      skipped: interfaces.ok ? parseSkipped(interfaces.stdout) : undefined,
      translations: nat?.ok === true ? nat.stdout : undefined,
      said: readPfConf(context.pfConf),
    },
  };
}

/** What pf.conf says of fragments; undefined when it cannot be read. */
function readPfConf(path: string): SaidOfFragments | undefined {
  const text = readText(path);
  return text === undefined ? undefined : saidOfFragments(text, path, readText);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
