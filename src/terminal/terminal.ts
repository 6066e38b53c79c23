// A terminal: its screen, its keys, its size.
import { emitKeypressEvents } from 'node:readline';

/** A line of the screen, no longer than the screen is wide. */
export interface ScreenLine {
  readonly text: string;
  readonly style: 'plain' | 'bold' | 'reverse';
}

/** Of a terminal, in characters. */
export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** What somebody wants who presses a key. */
export type Key = 'quit' | 'suspend' | 'redraw';

/** ECMA-48 and xterm's control sequences. */
const ESC = '\x1b';
const CLEAR = `${ESC}[0m${ESC}[H${ESC}[2J`;
const CURSOR = { hide: `${ESC}[?25l`, show: `${ESC}[?25h` };
/** Also keeps the cursor's place. */
const OTHER_SCREEN = { on: `${ESC}[?1049h`, off: `${ESC}[?1049l` };
const TO_END_OF_LINE = `${ESC}[K`;
const STYLES: Readonly<Record<ScreenLine['style'], readonly [on: string, off: string]>> = {
  plain: ['', ''],
  bold: [`${ESC}[1m`, `${ESC}[0m`],
  reverse: [`${ESC}[7m`, `${ESC}[0m`],
};

/** By the character that a key gives; those that give a sequence have none. */
const KEYS: Readonly<Record<string, Key>> = {
  q: 'quit',
  Q: 'quit',
  '\x03': 'quit',
  '\x1a': 'suspend',
  '\x0c': 'redraw',
};

/**
 * The bytes that fill the screen, in one piece and without erasing what stays, so that nothing flickers.
 * @param lines - the rest of the screen is empty
 * @param hasStyles - whether bold and reverse are wanted
 */
export function drawing(lines: readonly ScreenLine[], size: ScreenSize, hasStyles: boolean): string {
  return Array.from({ length: size.rows }, (_, row) => {
    const { text, style } = lines[row] ?? { text: '', style: 'plain' };
    const [on, off] = STYLES[hasStyles ? style : 'plain'];
    // behind the last column, erasing would take the last character away
    const rest = text.length < size.columns ? TO_END_OF_LINE : '';
    return `${ESC}[${row + 1};1H${on}${text}${off}${rest}`;
  }).join('');
}

/** Who wants to know what a terminal does. */
export interface TerminalListener {
  readonly pressed: (key: Key) => void;
  readonly resized: () => void;
  readonly gone: () => void;
}

/** A terminal that shows a whole screen for a while, and is then as it was. */
export class Terminal {
  private isOn = false;

  /** @param hasStyles - whether bold and reverse are wanted */
  constructor(
    private readonly input: NodeJS.ReadStream,
    private readonly output: NodeJS.WriteStream,
    private readonly hasStyles: boolean,
  ) {
    // a terminal that has gone cannot be given back
    input.on('error', () => undefined);
  }

  /** 80 by 24 when the terminal does not tell, as a serial line. */
  get size(): ScreenSize {
    return { columns: this.output.columns || 80, rows: this.output.rows || 24 };
  }

  /**
   * Tells of what the terminal does.
   * @returns what ends that
   */
  listen({ pressed, resized, gone }: TerminalListener): () => void {
    const { input, output } = this;
    const press = (character = ''): void => {
      const key = KEYS[character];
      if (key !== undefined) pressed(key);
    };
    output.on('resize', resized);
    if (input.isTTY) {
      emitKeypressEvents(input);
      input.on('keypress', press).on('end', gone);
    }
    return () => {
      output.off('resize', resized);
      input.off('keypress', press).off('end', gone);
      if (input.isTTY) input.pause();
    };
  }

  /** Takes the screen. */
  enter(): void {
    if (this.isOn) return;
    this.isOn = true;
    if (this.input.isTTY) this.input.setRawMode(true);
    this.output.write(OTHER_SCREEN.on + CURSOR.hide + CLEAR);
  }

  /**
   * Shows lines instead of those before.
   * @param isAnew - whether what is there cannot be relied on, as after a change of size
   */
  draw(lines: readonly ScreenLine[], isAnew = false): void {
    if (!this.isOn) return;
    this.output.write((isAnew ? CLEAR : '') + drawing(lines, this.size, this.hasStyles));
  }

  /** Gives the screen back. May be called at any time, also as the last thing of all. */
  leave(): void {
    if (!this.isOn) return;
    this.isOn = false;
    // a terminal without another screen keeps nothing of ours either
    this.output.write(CLEAR + CURSOR.show + OTHER_SCREEN.off);
    if (this.input.isTTY) this.input.setRawMode(false);
  }
}
