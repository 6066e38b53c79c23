// What a probe is, and what it works with.
import type { Config } from '../config/config.js';
import type { Finding } from '../pf/finding.js';
import { escapeText } from '../packet/escape.js';
import { finding } from '../pf/finding.js';
import type { Machine } from './machine.js';
import { systemWords } from '../words.js';

/** How long things may take that answer from outside. */
export interface CheckTimes {
  /** until pfctl, ifconfig and the like have ended */
  readonly childMs: number;
  /** until a TCP connection stands or fails */
  readonly connectMs: number;
  /** until a mail server has greeted */
  readonly greetingMs: number;
  /** until a policy has come by HTTPS, connections to all of its host's addresses included */
  readonly policyMs: number;
}

/** What all probes know. */
export interface CheckContext {
  readonly config: Config;
  /** path of the configuration file; undefined: all is from the command line */
  readonly configPath: string | undefined;
  /** domains whose MX records are looked at */
  readonly domains: readonly string[];
  readonly machine: Machine;
  /** path of pf's main file */
  readonly pfConf: string;
  readonly times: CheckTimes;
}

/** Looks at one subject, and changes nothing. */
export interface Probe {
  /** for people, and for the finding when it fails */
  readonly name: string;
  readonly applies?: (context: CheckContext) => boolean;
  readonly run: (context: CheckContext) => Promise<readonly Finding[]>;
}

/** No probe takes longer; each has time-outs of its own, this one is for what nobody thought of. */
const LONGEST_MS = 60_000;

/** Runs all probes at once; the findings come in the order of the probes. Never rejects, never hangs. */
export async function runProbes(probes: readonly Probe[], context: CheckContext): Promise<Finding[]> {
  const due = probes.filter(({ applies }) => applies?.(context) !== false);
  return (await Promise.all(due.map((probe) => runProbe(probe, context)))).flat();
}

async function runProbe(probe: Probe, context: CheckContext): Promise<readonly Finding[]> {
  const failed = (why: string): Finding[] => [
    finding('warning', 'probe-failed', `${probe.name}: could not be checked: ${why}`),
  ];
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<Finding[]>((resolve) => {
    timer = setTimeout(() => resolve(failed(`not done after ${LONGEST_MS / 1000} s`)), LONGEST_MS);
  });
  const found = Promise.resolve()
    .then(() => probe.run(context))
    .catch((error: unknown) => failed(escapeText(systemWords(error))));
  const findings = await Promise.race([found, tooLong]);
  clearTimeout(timer);
  return findings;
}
