// Something that `mxallowd check` has to say.

/** How bad a finding is, the least first. */
export const SEVERITIES = ['ok', 'note', 'warning', 'error'] as const;

/**
 * `ok`: as it should be; `note`: works, or cannot be told from here; `warning`: works with a defect; `error`: does not
 * work, or lets everybody in.
 */
export type Severity = (typeof SEVERITIES)[number];

/** Something that was looked at, and what was found. */
export interface Finding {
  /** stable name for programs, as `rules-fake-log` */
  readonly id: string;
  readonly severity: Severity;
  /** one sentence without final dot; safe to print */
  readonly message: string;
  /** what to do about it; safe to print */
  readonly advice?: string;
}

/** Makes a finding; an empty advice is none. */
export function finding(severity: Severity, id: string, message: string, advice = ''): Finding {
  return advice === '' ? { id, severity, message } : { id, severity, message, advice };
}
