// A replay for programs: an object a line.
import { formatAddress } from '../../packet/address.js';
import { escapeText } from '../../packet/escape.js';
import type { Frame } from '../../packet/frame.js';
import { readPflogHeader } from '../../packet/pflog.js';
import { linkTypeName } from '../../capture/source.js';
import type { Judgement } from '../../engine/judge.js';
import type { Line } from '../../engine/messages.js';
import { isPflog } from '../../packet/observation.js';
import { eventOf } from '../../tracker/decision.js';
import type { RemovalReason } from '../../tracker/tracker.js';
import type { Entry } from '../../tracker/whitelist.js';
import type { Report } from './session.js';
import { isoTime, type ReplaySummary } from './statistics.js';

/** How much a report prints. */
export type Verbosity = 'summary' | 'decisions' | 'all';

/** Prints a replay as NDJSON. Frames that cannot be judged are always among the events. */
export class JsonReport implements Report {
  constructor(
    private readonly write: (line: string) => void,
    private readonly verbosity: Verbosity,
  ) {}

  judged(frame: Frame, { observation, decision }: Judgement): void {
    if (this.verbosity === 'summary') return;
    const { reason } = decision;
    const event = eventOf(decision);
    const at = isoTime(frame.timeMs);
    if (observation === undefined) {
      this.print({ event, at, reason, ...this.header(frame) });
      return;
    }
    const source = formatAddress(observation.source);
    const target = formatAddress(observation.destination);
    this.print({ event, at, source, target, reason, ...this.header(frame) });
  }

  removed(atMs: number, entry: Entry, reason: RemovalReason): void {
    if (this.verbosity === 'summary') return;
    const event = reason === 'timeout' ? 'expiry' : 'eviction';
    const { attempts, admissions } = entry;
    const source = entry.text;
    this.print({ event, at: isoTime(atMs), source, target: null, reason, attempts, admissions });
  }

  named(atMs: number, { level, fields }: Line): void {
    if (this.verbosity === 'summary' || (level === 'debug' && this.verbosity !== 'all')) return;
    const { event, ...rest } = fields;
    this.print({ event, at: isoTime(atMs), ...rest });
  }

  /** What is in the table at the end, and since when. */
  entry(prefix: string, sinceMs: number): void {
    this.print({ event: 'entry', at: isoTime(sinceMs), source: prefix });
  }

  summary(summary: ReplaySummary): void {
    this.print({ event: 'summary', ...summary });
  }

  /** With --verbose, everything that pf wrote, or where else the packet was seen. */
  private header(frame: Frame): object {
    if (this.verbosity !== 'all') return {};
    if (!isPflog(frame.linkType)) return { link: linkTypeName(frame.linkType) };
    const header = readPflogHeader(frame);
    if (typeof header === 'string') return {};
    const { interfaceName, ruleset } = header;
    return { pflog: { ...header, interfaceName: escapeText(interfaceName), ruleset: escapeText(ruleset) } };
  }

  private print(event: object): void {
    this.write(JSON.stringify(event));
  }
}
