// What each statement of pf.conf is. Pure.
import { resolve } from 'node:path';
import { parseConf, type Statement, type Token, tokensOf } from './statements.js';

/** What a statement of pf.conf is. */
export type Kind =
  'macro' | 'table' | 'option' | 'scrub' | 'queue' | 'translation' | 'filter' | 'load' | 'ours' | 'unknown';

/** A statement of a pf.conf or of a file that it includes. */
export interface Item {
  readonly kind: Kind;
  /** its tokens, macros expanded */
  readonly tokens: readonly Token[];
  /** `FILE:LINE` */
  readonly where: string;
  /** index of the statement of the main file that it comes from */
  readonly top: number;
}

/** Gives the text of an included file, one character a byte; undefined when it cannot be read. */
export type ReadInclude = (path: string) => string | undefined;

const KINDS: Readonly<Record<string, Kind>> = {
  set: 'option',
  // of FreeBSD 14: they come between options and scrub, and do not concern IP
  ether: 'option',
  table: 'table',
  scrub: 'scrub',
  'scrub-anchor': 'scrub',
  altq: 'queue',
  queue: 'queue',
  nat: 'translation',
  rdr: 'translation',
  binat: 'translation',
  'nat-anchor': 'translation',
  'rdr-anchor': 'translation',
  'binat-anchor': 'translation',
  pass: 'filter',
  block: 'filter',
  match: 'filter',
  anchor: 'filter',
  antispoof: 'filter',
  load: 'load',
};

/**
 * FreeBSD's pfctl wants options, scrub, queues, translation, filter rules in this order (unless "set require-order
 * no"); what is missing here may stand anywhere.
 */
export const RANKS: Readonly<Partial<Record<Kind, number>>> = {
  option: 1,
  scrub: 2,
  queue: 3,
  translation: 4,
  filter: 5,
  unknown: 5,
};

const MOST_INCLUDES = 100;
const MOST_EXPANSIONS = 8;

/** Looks at all statements of a pf.conf, those of included files in the place of their include. */
export class Classifier {
  private readonly macros = new Map<string, readonly Token[]>();
  private includes = 0;

  /**
   * @param ours - absolute path of our own rules file, which is not looked into
   */
  constructor(
    private readonly readInclude: ReadInclude,
    private readonly ours: string,
  ) {}

  /**
   * @param statements - of the main file
   * @param file - its name, for messages
   */
  items(statements: readonly Statement[], file: string): Item[] {
    return statements.flatMap((statement, top) => this.classify(statement, file, top));
  }

  private classify(statement: Statement, file: string, top: number): Item[] {
    const tokens = this.expand(statement.tokens);
    const where = `${file}:${statement.line}`;
    const [first, second] = tokens;
    if (second?.text === '=' && second.kind === 'sign') {
      this.macros.set(first?.text ?? '', tokens.slice(2).flatMap(contents));
      return [{ kind: 'macro', tokens, where, top }];
    }
    const path = includedPath(tokens);
    if (path === this.ours) return [{ kind: 'ours', tokens, where, top }];
    if (path !== undefined) return this.descend(path, { kind: 'unknown', tokens, where, top });
    const word = first?.text === 'no' ? second?.text : first?.text;
    return [{ kind: KINDS[word ?? ''] ?? 'unknown', tokens, where, top }];
  }

  private descend(path: string, item: Item): Item[] {
    const text = this.includes++ < MOST_INCLUDES ? this.readInclude(path) : undefined;
    if (text === undefined) return [item];
    return parseConf(text).statements.flatMap((statement) => this.classify(statement, path, item.top));
  }

  private expand(tokens: readonly Token[], depth = 0): readonly Token[] {
    if (depth > MOST_EXPANSIONS) return tokens;
    return tokens.flatMap((token) => {
      const value =
        token.kind === 'word' && token.text.startsWith('$')
          ? this.macros.get(token.text.slice(1))
          : undefined;
      return value === undefined ? [token] : this.expand(value, depth + 1);
    });
  }
}

function contents(token: Token): readonly Token[] {
  return token.kind === 'string' ? tokensOf(token.text) : [token];
}

/** The absolute path that an `include` statement names; undefined for any other statement. */
export function includedPath(tokens: readonly Token[]): string | undefined {
  const [first, second] = tokens;
  const isInclude = first?.text === 'include' && first.kind === 'word' && second?.kind === 'string';
  return isInclude ? resolve('/', second.text) : undefined;
}

/** Whether a word stands in a statement, unquoted. */
export function hasWord({ tokens }: Item, word: string): boolean {
  return tokens.some((token) => token.kind === 'word' && token.text === word);
}

/** The names of the tables that a rule refers to, or that a `table` statement defines. */
export function tableNames({ tokens }: Item): string[] {
  return tokens.flatMap((token, index) =>
    token.text === '<' && tokens[index + 2]?.text === '>' ? [tokens[index + 1]?.text ?? ''] : [],
  );
}

/** Anchors whose rules do nothing but keep abusers out: blocklistd(8) under both of its names, fail2ban. */
const ABUSERS = /^(blacklistd|blocklistd|f2b)(\/.*)?$/;

/**
 * Whether a rule may decide before rules that come after it: it is quick, or an anchor that may hold quick rules. One
 * that only keeps some sources out does not count: it may stay ahead.
 */
export function mayDecide(item: Item): boolean {
  const [first, second] = item.tokens;
  if (item.kind === 'unknown') return true;
  if (item.kind !== 'filter' || first?.text === 'antispoof') return false;
  if (first?.text === 'anchor') return second === undefined || !ABUSERS.test(second.text);
  return hasWord(item, 'quick') && !keepsSomeOut(item);
}

function keepsSomeOut({ tokens }: Item): boolean {
  const from = tokens.findIndex(({ kind, text }) => kind === 'word' && text === 'from');
  const source = tokens[from + 1]?.text ?? '';
  return tokens[0]?.text === 'block' && from >= 0 && ['<', 'no-route', 'urpf-failed'].includes(source);
}
