// What `pfctl -s info` prints. Pure.

/** What `pfctl -s info` says, as far as it is needed. */
export interface PfInfo {
  readonly enabled: boolean;
}

/** The first line on both systems: "Status: Enabled for 0 days 00:00:08           Debug: Urgent". */
const STATUS = /^Status: (Enabled|Disabled)\b/m;

/**
 * Reads what `pfctl -s info` prints.
 * @returns undefined when it is something else
 */
export function parsePfInfo(text: string): PfInfo | undefined {
  const status = STATUS.exec(text)?.[1];
  return status === undefined ? undefined : { enabled: status === 'Enabled' };
}
