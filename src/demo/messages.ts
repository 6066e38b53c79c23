// What the demonstration's processes tell each other.

/** What the demonstration tells the mail server behind the real MX: where to listen, or to answer. */
export type SinkOrder =
  | { readonly addresses: readonly string[]; readonly port: number }
  /** comes back behind all that has been told before */
  | { readonly ask: number };

/** What that tells back. */
export type SinkMessage =
  | { readonly listening: true }
  | { readonly failed: string }
  | { readonly asked: number }
  /** address of a sender whose message was taken */
  | { readonly delivered: string };

/** What a sender is to do. */
export interface SendOrder {
  /** tells answers apart */
  readonly id: number;
  /** the sender's own address */
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** when to give up */
  readonly timeoutMs: number;
}

/** What became of it: a message was taken, nothing listens, no answer came, or something else went wrong. */
export type Outcome = 'delivered' | 'refused' | 'no answer' | 'failed';

/** What a sender tells back. */
export interface SendResult {
  readonly id: number;
  readonly outcome: Outcome;
  readonly tookMs: number;
}
