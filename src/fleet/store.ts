// What the nodes of a site share, as we need it: a hash and a log for each node. Redis and Valkey are behind it.

/** Version of the protocol; docs/fleet.md describes it. */
export const PROTOCOL = 1;

/** The fields of a node's head, and of a message. */
export type Fields = Readonly<Record<string, string>>;

/** A message in the log of a node, with its place there (`MILLISECONDS-NUMBER`, by the store's clock). */
export interface Message {
  readonly node: string;
  readonly place: string;
  readonly fields: Fields;
}

/** A write, of which all is done or nothing. */
export interface Writing {
  /** appended to the log; absent: nothing is said */
  readonly message: Fields | undefined;
  /** fields of the hash and their values */
  readonly set: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
  readonly head: Fields;
  /** so long the keys live on when nobody writes any more, in milliseconds; absent: that stays as it is */
  readonly keepMs?: number;
}

/** What a node's own keys say. */
export interface OwnKeys {
  /** undefined: there is none */
  readonly head: Fields | undefined;
  /** number of fields of its hash */
  readonly count: number;
}

/** Why the store does not do what it is asked. */
export type StoreProblem =
  | 'away'
  | 'frozen'
  | 'out-of-memory'
  | 'read-only'
  | 'no-permission'
  | 'wrong-password'
  | 'tls'
  | 'loading'
  | 'other';

/** The store has not done what it was asked, or nobody knows whether it has. */
export class StoreError extends Error {
  constructor(
    readonly problem: StoreProblem,
    message: string,
  ) {
    super(message);
  }
}

/** The store, as one node sees it. All of it may fail with {@link StoreError}. */
export interface Store {
  /** the name of this node */
  readonly node: string;
  /** Reads this node's keys, and watches them: {@link write} does nothing when somebody else has touched them since. */
  watch(): Promise<OwnKeys>;
  /**
   * Writes to this node's keys, and goes on watching.
   * @returns what they say then; undefined: somebody else had touched them, and nothing was done
   */
  write(change: Writing): Promise<OwnKeys | undefined>;
  /** Takes fields out of this node's hash, which needs no memory. */
  remove(fields: readonly string[]): Promise<void>;
  /** The names of all nodes that have keys. */
  nodes(): Promise<string[]>;
  /** The heads of nodes, in their order; undefined: there is none. */
  heads(nodes: readonly string[]): Promise<(Fields | undefined)[]>;
  /**
   * The place of the newest message of a node's log, and how old that is by the store's clock.
   * @returns undefined: it has none
   */
  newest(node: string): Promise<{ readonly place: string; readonly agoMs: number } | undefined>;
  /** A part of a node's hash, and where the next part begins; `0` begins, and ends. */
  page(
    node: string,
    cursor: string,
  ): Promise<{ readonly cursor: string; readonly fields: [string, string][] }>;
  /** Waits for messages behind these places, for some time; there may be none then. */
  follow(places: ReadonlyMap<string, string>): Promise<Message[]>;
}
