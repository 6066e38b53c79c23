// A full screen that somebody looks at: signals, keys, suspending and coming back.
import { Exit } from '../sysexits.js';
import { type Key, type ScreenLine, type ScreenSize, type Terminal } from './terminal.js';

/** Signals that end it, with the exit status; SIGINT does what the key does. */
const ENDING: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', Exit.OK],
  ['SIGHUP', 128 + 1],
  ['SIGQUIT', 128 + 3],
  ['SIGTERM', 128 + 15],
];

/** For kill(2): what the terminal tells of Ctrl-Z when nobody reads single keys. */
const WHOLE_GROUP = 0;

/** How long a stop may take; a process group without a parent is never stopped. */
const STOP_MS = 200;

/** What the screen shows, and where that comes from. */
export interface ScreenContent {
  /** what there is to show now; undefined: nothing yet, and the terminal stays as it is */
  lines(size: ScreenSize): readonly ScreenLine[] | undefined;
  /** Begins to bring what is new, or goes on with it after a stop; {@link LiveScreen.draw} shows it. */
  resume(): void;
  /** Brings nothing for a while, or ever again. */
  pause(): void;
}

/** Shows something that changes on a terminal, until somebody or something ends it. */
export class LiveScreen {
  private isStopped = false;
  private content: ScreenContent | undefined;
  private finish: ((status: number) => void) | undefined;
  /** what undoes each handler that is set */
  private readonly undo: (() => void)[] = [];

  constructor(private readonly terminal: Terminal) {}

  /** @returns exit status, once {@link end} is called or a person or a signal has ended it */
  run(content: ScreenContent): Promise<number> {
    return new Promise((resolve) => {
      this.content = content;
      this.finish = resolve;
      this.setHandlers();
      content.resume();
    });
  }

  /** Shows what the content has now; takes the screen the first time that there is something. */
  draw(isAnew = false): void {
    if (this.finish === undefined || this.isStopped) return;
    const lines = this.content?.lines(this.terminal.size);
    if (lines === undefined) return;
    this.terminal.enter();
    this.terminal.draw(lines, isAnew);
  }

  /** Gives the terminal back, and ends {@link run} with this exit status. */
  end(status: number): void {
    const { finish } = this;
    if (finish === undefined) return;
    this.finish = undefined;
    for (const undo of this.undo) undo();
    this.content?.pause();
    this.terminal.leave();
    finish(status);
  }

  private setHandlers(): void {
    for (const [signal, status] of ENDING) this.onSignal(signal, () => this.end(status));
    this.onSignal('SIGTSTP', this.onStop);
    this.onSignal('SIGCONT', () => this.goOn());
    const leave = (): void => this.terminal.leave();
    // also when an exception ends the process
    process.on('exit', leave);
    const forget = this.terminal.listen({
      pressed: (key) => this.obey(key),
      resized: () => this.draw(true),
      gone: () => this.end(Exit.OK),
    });
    this.undo.push(forget, () => process.off('exit', leave));
  }

  private onSignal(signal: NodeJS.Signals, handler: () => void): void {
    process.on(signal, handler);
    this.undo.push(() => process.off(signal, handler));
  }

  private obey(key: Key): void {
    if (key === 'quit') this.end(Exit.OK);
    else if (key === 'redraw') this.draw(true);
    else this.stop(WHOLE_GROUP);
  }

  private readonly onStop = (): void => this.stop(process.pid);

  /**
   * Gives the terminal back and has the content pause, and stops: nobody waits for us meanwhile.
   * @param target - who is told to stop
   */
  private stop(target: number): void {
    if (this.isStopped || this.finish === undefined) return;
    this.isStopped = true;
    this.content?.pause();
    this.terminal.leave();
    process.off('SIGTSTP', this.onStop);
    process.kill(target, 'SIGTSTP');
    setTimeout(() => {
      if (this.isStopped) this.goOn();
    }, STOP_MS);
  }

  private goOn(): void {
    if (this.finish === undefined) return;
    // who stopped us without our knowledge has set the terminal as he likes it
    this.terminal.leave();
    const wasStopped = this.isStopped;
    this.isStopped = false;
    if (wasStopped) process.on('SIGTSTP', this.onStop);
    this.draw(true);
    if (wasStopped) this.content?.resume();
  }
}
