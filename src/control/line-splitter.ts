// Lines out of what comes in pieces, bounded. Pure.

const LINE_FEED = 0x0a;

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  /** pieces of the line that has not ended yet */
  private pieces: Buffer[] = [];
  private size = 0;

  /** @param most - bytes of a line at the most, without its line feed */
  constructor(private readonly most: number) {}

  /** Whether a line has begun that has not ended. */
  get isInLine(): boolean {
    return this.size > 0;
  }

  /**
   * Takes the next bytes.
   * @returns the lines that end in them, read as UTF-8, without line feeds; undefined when a line is too long
   */
  push(bytes: Buffer): string[] | undefined {
    const lines: string[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      if (!this.keep(bytes.subarray(start, end))) return undefined;
      lines.push(Buffer.concat(this.pieces).toString('utf8'));
      this.pieces = [];
      this.size = 0;
      start = end + 1;
    }
    return this.keep(bytes.subarray(start)) ? lines : undefined;
  }

  private keep(piece: Buffer): boolean {
    this.size += piece.length;
    if (piece.length > 0) this.pieces.push(piece);
    return this.size <= this.most;
  }
}
