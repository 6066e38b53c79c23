// What is counted.

/** Counted since the start. */
export interface Counters {
  attempts: number;
  renewals: number;
  /** SYNs to a real MX from strangers: "blocked connection attempts" */
  refusals: number;
  /** the same, led elsewhere instead of dropped */
  redirected: number;
  admissions: number;
  added: number;
  expired: number;
  /** entries that were used and have expired: "successful connections" */
  expiredUsed: number;
  /** entries that have expired without ever being used: "direct-to-fake-mx" */
  expiredUnused: number;
  evicted: number;
  adopted: number;
  /** entries for other addresses of a name */
  named: number;
  /** entries for members of a pool */
  pooled: number;
  /** entries for those whom a DNS allow list knows */
  listed: number;
  /** connections that this network has opened to mail servers */
  outbound: number;
}

/** All at 0. */
export function newCounters(): Counters {
  return {
    attempts: 0,
    renewals: 0,
    refusals: 0,
    redirected: 0,
    admissions: 0,
    added: 0,
    expired: 0,
    expiredUsed: 0,
    expiredUnused: 0,
    evicted: 0,
    adopted: 0,
    named: 0,
    listed: 0,
    pooled: 0,
    outbound: 0,
  };
}
