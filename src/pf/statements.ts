// The statements of a pf.conf. Pure.

/** A word, a quoted text or a sign of pf.conf(5). */
export interface Token {
  readonly kind: 'word' | 'string' | 'sign';
  /** without quotes and continuations */
  readonly text: string;
}

/** One statement of a pf.conf, with its place in the text. */
export interface Statement {
  readonly tokens: readonly Token[];
  /** what stands behind its last `#`, trimmed; empty: nothing */
  readonly comment: string;
  /** number of the line that it begins on, from 1 */
  readonly line: number;
  /** where that line begins in the text */
  readonly start: number;
  /** behind the newline that ends it, or the text's length */
  readonly end: number;
}

/** A pf.conf taken apart. */
export interface ParsedConf {
  readonly statements: readonly Statement[];
  /** line of what is not finished where the text ends (a brace, a quote, a backslash): nothing can be added there */
  readonly openAt: number | undefined;
}

const SIGNS = '(){}<>!=/,';
const ENDS_WORD = new Set([...SIGNS, ...' \t\r\n#']);

/**
 * Takes a pf.conf apart by the rules of pfctl's lexer: `#` begins a comment, a backslash at the end of a line joins
 * the next one (in comments as well), quotes are `"` or `'` and may go over lines, and so may what is in braces.
 * @param text - one character a byte (latin1)
 */
export function parseConf(text: string): ParsedConf {
  const reader = new Reader(text);
  const statements: Statement[] = [];
  for (;;) {
    const statement = reader.statement();
    if (statement === undefined) break;
    statements.push(statement);
  }
  return { statements, openAt: reader.openAt };
}

/** Tokens of a macro's value, which may be quoted text with several words. */
export function tokensOf(text: string): readonly Token[] {
  return parseConf(text.replaceAll('\n', ' ')).statements.flatMap(({ tokens }) => tokens);
}

class Reader {
  openAt: number | undefined;
  private at = 0;
  private line = 1;
  private depth = 0;
  private comment = '';

  constructor(private readonly text: string) {}

  /** The next statement; undefined at the end. */
  statement(): Statement | undefined {
    const tokens: Token[] = [];
    let line = 0;
    let start = 0;
    this.comment = '';
    this.depth = 0;
    for (;;) {
      this.skipJoins();
      const character = this.text.charAt(this.at);
      if (character === '') break;
      if (character === '\n') {
        this.newline();
        if (tokens.length > 0 && this.depth === 0) break;
        if (tokens.length === 0) this.comment = '';
      } else if (character === ' ' || character === '\t' || character === '\r') this.at++;
      else if (character === '#') this.readComment();
      else {
        if (tokens.length === 0) {
          line = this.line;
          start = this.text.lastIndexOf('\n', this.at - 1) + 1;
        }
        tokens.push(this.token(character));
      }
    }
    if (this.depth > 0) this.openAt ??= line;
    return tokens.length === 0 ? undefined : { tokens, comment: this.comment, line, start, end: this.at };
  }

  private newline(): void {
    this.at++;
    this.line++;
  }

  /** Goes over backslashes that join lines, and over one before another character, which stands for itself. */
  private skipJoins(): void {
    while (this.text.charAt(this.at) === '\\') {
      const line = this.line;
      this.at++;
      const joins = this.text.charAt(this.at) === '\n';
      if (joins) this.newline();
      if (this.at >= this.text.length) this.openAt ??= line;
      if (!joins) return;
    }
  }

  private readComment(): void {
    const from = this.at + 1;
    for (;;) {
      this.skipJoins();
      if (this.at >= this.text.length || this.text.charAt(this.at) === '\n') break;
      this.at++;
    }
    this.comment = this.text.slice(from, this.at).trim();
  }

  private token(first: string): Token {
    if (first === '"' || first === "'") return this.quoted(first);
    if (SIGNS.includes(first)) {
      this.at++;
      if (first === '{') this.depth++;
      if (first === '}') this.depth = Math.max(0, this.depth - 1);
      return { kind: 'sign', text: first };
    }
    let text = '';
    do {
      text += this.text.charAt(this.at++);
      this.skipJoins();
    } while (this.at < this.text.length && !ENDS_WORD.has(this.text.charAt(this.at)));
    return { kind: 'word', text };
  }

  private quoted(quote: string): Token {
    const { line } = this;
    let text = '';
    this.at++;
    for (;;) {
      const character = this.text.charAt(this.at);
      if (character === '') {
        this.openAt ??= line;
        break;
      }
      if (character === '\n') {
        this.newline();
        continue;
      }
      this.at++;
      if (character === quote) break;
      const isEscape = character === '\\' && [quote, ' ', '\t'].includes(this.text.charAt(this.at));
      if (isEscape) text += this.text.charAt(this.at++);
      else if (character !== '\\' || this.text.charAt(this.at) !== '\n') text += character;
    }
    return { kind: 'string', text };
  }
}
