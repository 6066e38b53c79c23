/** What became of those who were recorded: by the log, and by what came back on the wire. */
import { decode } from '../../src/packet/observation.js';
import { formatAddress } from '../../src/packet/address.js';
import { Action, PfReason, readPflogHeader } from '../../src/packet/pflog.js';
import { framesOf, readNotes, sectionOf } from './recordings.js';

/** Addresses of the mail servers in the recordings. */
export const RECORDED = {
  fake: ['192.168.1.3', '2001:dead:beef::2'],
  real: ['192.168.1.4', '2001:dead:beef::1'],
} as const;

/** Whom a SYN was from, and for whom it was: `stranger real 6`. */
export type Who = `${'stranger' | 'listed'} ${'fake' | 'real'} ${4 | 6}`;

/** What a recording says of a SYN. */
export interface Seen {
  readonly action: 'pass' | 'block';
  /** what came back, where that was recorded and anything did: flags as `SA`, `RA` */
  readonly answer: string | undefined;
}

/** The addresses and networks that were in the table. */
export function tableOf(notes: string): string[] {
  const added = [...notes.matchAll(/^guest: pfctl .* -T add ([^->]*?)(?: ->.*)?$/gm)];
  return added.flatMap(([, words = '']) => words.trim().split(' '));
}

/** Whether a source was in the table. */
export function isListed(source: string, table: readonly string[]): boolean {
  return table.some((text) => {
    const network = /^(2001:db8:|203\.0\.113\.)(?::\/64|0\/24)$/.exec(text)?.[1];
    return text === source || (network !== undefined && source.startsWith(network));
  });
}

/** What the log says became of whole SYNs without options to the recorded mail servers. */
export function seenIn(name: string): Map<Who, Seen[]> {
  const notes = readNotes(name);
  const table = tableOf(notes);
  const back = sectionOf(notes, '## seen coming back on the wire');
  const seen = new Map<Who, Seen[]>();
  for (const frame of framesOf(name)) {
    const header = readPflogHeader(frame);
    const observation = decode(frame);
    if (!observation.ok || typeof header === 'string' || !observation.isSyn || header.direction !== 1)
      continue;
    const { hasIpOptions, pfReason, action, destinationPort } = observation;
    const isVerdict = action === Action.PASS || action === Action.DROP;
    if (hasIpOptions || pfReason !== PfReason.MATCH || !isVerdict || destinationPort !== 25) continue;
    const [source, destination] = [observation.source, observation.destination].map(formatAddress);
    const role = (['fake', 'real'] as const).find((one) => RECORDED[one].some((own) => own === destination));
    if (role === undefined || source === undefined || destination === undefined) continue;
    const who: Who = `${isListed(source, table) ? 'listed' : 'stranger'} ${role} ${observation.family}`;
    const line = `${destination}.${destinationPort} > ${source}.${observation.sourcePort} `;
    const answer = back.find((one) => one.startsWith(line))?.slice(line.length);
    const one = { action: action === Action.PASS ? 'pass' : 'block', answer } as const;
    seen.set(who, [...(seen.get(who) ?? []), one]);
  }
  return seen;
}

/** The rules as pfctl printed them beside a recording, those in anchors where it was asked for them. */
export function printedRules(name: string): string {
  return readNotes(name)
    .split(/^## pfctl .*after:\n/m)
    .slice(1)
    .join('')
    .split('\n')
    .filter((line) => !/^\s*\[/.test(line) && !(name.startsWith('openbsd') && line.startsWith('@')))
    .join('\n');
}
