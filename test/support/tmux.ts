/** A real terminal: a window of tmux with a shell in it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './daemon.js';

/** @returns why there can be no {@link TerminalWindow} here, if so */
export function tmuxUnavailable(): string | undefined {
  const { status } = spawnSync('tmux', ['-V']);
  return status === 0 ? undefined : 'tmux not found (package tmux)';
}

/** What a shell shows when it waits for a command. */
const PROMPT = 'ready$ ';

/** A window of a tmux of its own. */
export class TerminalWindow {
  private readonly folder = mkdtempSync(join(tmpdir(), 'mxallowd-tmux-'));

  private constructor(command: readonly string[], columns: number, rows: number) {
    const size = ['-x', String(columns), '-y', String(rows)];
    // the first window takes over the environment of the server
    this.tmux(['-f', '/dev/null', 'new-session', '-d', ...size, ...command]);
  }

  /** Opens a window with a shell, and waits for its prompt. */
  static async open(columns: number, rows: number): Promise<TerminalWindow> {
    const command = ['env', '-u', 'ENV', '-u', 'NO_COLOR', 'TZ=UTC', `PS1=${PROMPT}`, 'sh'];
    const window = new TerminalWindow(command, columns, rows);
    await window.shows(PROMPT.trim());
    return window;
  }

  /** Opens a window without a shell: nobody there can stop and continue what runs in it. */
  static bare(command: readonly string[], columns: number, rows: number): TerminalWindow {
    return new TerminalWindow(command, columns, rows);
  }

  /** What is on the screen, without blanks at the ends of lines and empty lines at the end. */
  screen(): string[] {
    const lines = this.tmux(['capture-pane', '-p'])
      .split('\n')
      .map((line) => line.trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** The same with the styles, as control sequences. */
  styledScreen(): string {
    return this.tmux(['capture-pane', '-p', '-e']);
  }

  /** `1` for each: the other screen is on, the cursor is visible. */
  modes(): string {
    return this.tmux(['display-message', '-p', '#{alternate_on} #{cursor_flag}']).trim();
  }

  /** Types a command line. */
  enter(line: string): void {
    this.tmux(['send-keys', '-l', line]);
    // unlike Enter it ends a line also where a program that was stopped has left the terminal raw
    this.press('C-j');
  }

  /** Presses keys, by tmux's names of them. */
  press(...keys: readonly string[]): void {
    this.tmux(['send-keys', ...keys]);
  }

  resize(columns: number, rows: number): void {
    this.tmux(['resize-window', '-x', String(columns), '-y', String(rows)]);
  }

  /** Waits until the screen has a line that matches. */
  async shows(text: string | RegExp): Promise<void> {
    const matches = (line: string): boolean => (typeof text === 'string' ? line === text : text.test(line));
    await until(`the terminal shows ${String(text)}`, () => this.screen().some(matches));
  }

  close(): void {
    spawnSync('tmux', ['-S', join(this.folder, 'socket'), 'kill-server']);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private tmux(args: readonly string[]): string {
    return execFileSync('tmux', ['-S', join(this.folder, 'socket'), ...args], { encoding: 'utf8' });
  }
}
