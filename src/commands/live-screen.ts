import { ask, type AskProblem } from '../control/client.js';
import { Exit } from '../sysexits.js';
import { DAEMON_ENDED, printAskProblem } from './ask-daemon.js';
import { keysIn, type Terminal } from './terminal.js';
import { WatchModel, type WatchView } from './watch-model.js';
import { screenLines } from './watch-screen.js';

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

/** Between two attempts to reach the daemon again. */
const RECONNECT_MS = 1000;
/** As often as that: a monitor waits for up to 30 s before it starts the engine again. */
const MOST_LOSSES = 40;

/** Shows what a daemon tells each second on a terminal, until somebody or something ends it. */
export class LiveScreen {
  private readonly model = new WatchModel();
  private view: WatchView | undefined;
  private connection: AbortController | undefined;
  private isStopped = false;
  /** connections in a row that were lost without a tick */
  private losses = 0;
  private finish: ((status: number) => void) | undefined;
  /** what undoes each handler that is set */
  private readonly undo: (() => void)[] = [];

  /**
   * @param path - of the control socket
   * @param host - the name of this machine
   */
  constructor(
    private readonly terminal: Terminal,
    private readonly path: string,
    private readonly host: string,
  ) {}

  /** @returns exit status */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.finish = resolve;
      this.setHandlers();
      void this.connect();
    });
  }

  private setHandlers(): void {
    for (const [signal, status] of ENDING) this.onSignal(signal, () => this.end(status));
    this.onSignal('SIGTSTP', this.onStop);
    this.onSignal('SIGCONT', () => this.goOn());
    const leave = (): void => this.terminal.leave();
    // also when an exception ends the process
    process.on('exit', leave);
    const forget = this.terminal.listen({
      sent: (text) => this.obey(text),
      resized: () => this.draw(true),
      gone: () => this.end(Exit.OK),
    });
    this.undo.push(forget, () => process.off('exit', leave));
  }

  private onSignal(signal: NodeJS.Signals, handler: () => void): void {
    process.on(signal, handler);
    this.undo.push(() => process.off(signal, handler));
  }

  private async connect(): Promise<void> {
    const connection = new AbortController();
    this.connection = connection;
    this.model.reset();
    const answer = await ask<'watch'>({
      path: this.path,
      request: { command: 'watch' },
      onItem: (tick) => {
        // what had been read already when the connection was given up
        if (connection.signal.aborted) return;
        this.view = this.model.add(tick);
        this.losses = 0;
        this.terminal.enter();
        this.draw();
      },
      signal: connection.signal,
    });
    if (connection.signal.aborted) return;
    if (answer.ok) this.end(DAEMON_ENDED.exitStatus, DAEMON_ENDED);
    else if (this.view === undefined || ++this.losses > MOST_LOSSES) this.end(answer.exitStatus, answer);
    else this.reconnect(this.view);
  }

  /** Its engine may have died: then the monitor starts the next one. */
  private reconnect(view: WatchView): void {
    const message = 'mxallowd does not answer: it has ended, or is being started again';
    this.view = {
      ...view,
      tick: { ...view.tick, findings: [{ severity: 'error', id: 'no-answer', message }] },
    };
    this.draw();
    const timer = setTimeout(() => {
      if (!this.isStopped && this.finish !== undefined) void this.connect();
    }, RECONNECT_MS);
    this.undo.push(() => clearTimeout(timer));
  }

  private draw(isAnew = false): void {
    if (this.view === undefined) return;
    this.terminal.draw(screenLines(this.view, this.host, this.terminal.size), isAnew);
  }

  private obey(sent: string): void {
    for (const key of keysIn(sent)) {
      if (key === 'quit') this.end(Exit.OK);
      else if (key === 'redraw') this.draw(true);
      else this.stop(WHOLE_GROUP);
    }
  }

  private readonly onStop = (): void => this.stop(process.pid);

  /**
   * Gives the terminal back and the connection up, and stops: nobody waits for us meanwhile.
   * @param target - who is told to stop
   */
  private stop(target: number): void {
    if (this.isStopped || this.finish === undefined) return;
    this.isStopped = true;
    this.connection?.abort();
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
    if (this.view !== undefined) this.terminal.enter();
    this.draw(true);
    if (wasStopped) void this.connect();
  }

  private end(status: number, problem?: AskProblem): void {
    const { finish } = this;
    if (finish === undefined) return;
    this.finish = undefined;
    for (const undo of this.undo) undo();
    this.connection?.abort();
    this.terminal.leave();
    if (problem !== undefined) printAskProblem(problem);
    finish(status);
  }
}
