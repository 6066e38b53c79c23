// What the daemon tells each second, for watch's screen: asked again when its engine is started anew.
import { ask, type AskProblem } from '../../control/client.js';
import type { LiveScreen, ScreenContent } from '../../terminal/live-screen.js';
import type { ScreenLine, ScreenSize } from '../../terminal/terminal.js';
import { DAEMON_ENDED, printAskProblem } from '../ask-daemon.js';
import { WatchModel, type WatchView } from './model.js';
import { screenLines } from './screen.js';

/** Between two attempts to reach the daemon again. */
const RECONNECT_MS = 1000;
/** As often as that: a monitor waits for up to 30 s before it starts the engine again. */
const MOST_LOSSES = 40;

/** Brings what a daemon tells to a screen. */
export class WatchFeed implements ScreenContent {
  private readonly model = new WatchModel();
  private view: WatchView | undefined;
  private connection: AbortController | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** connections in a row that were lost without a tick */
  private losses = 0;

  /**
   * @param path - of the control socket
   * @param host - the name of this machine
   */
  constructor(
    private readonly screen: LiveScreen,
    private readonly path: string,
    private readonly host: string,
  ) {}

  lines(size: ScreenSize): readonly ScreenLine[] | undefined {
    return this.view && screenLines(this.view, this.host, size);
  }

  resume(): void {
    void this.connect();
  }

  pause(): void {
    clearTimeout(this.timer);
    this.connection?.abort();
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
        this.screen.draw();
      },
      signal: connection.signal,
    });
    if (connection.signal.aborted) return;
    if (answer.ok) this.end(DAEMON_ENDED);
    else if (this.view === undefined || ++this.losses > MOST_LOSSES) this.end(answer);
    else this.reconnect(this.view);
  }

  private end(problem: AskProblem): void {
    // the terminal is given back first
    this.screen.end(problem.exitStatus);
    printAskProblem(problem);
  }

  /** Its engine may have died: then the monitor starts the next one. */
  private reconnect(view: WatchView): void {
    const message = 'mxallowd does not answer: it has ended, or is being started again';
    this.view = {
      ...view,
      tick: { ...view.tick, findings: [{ severity: 'error', id: 'no-answer', message }] },
    };
    this.screen.draw();
    this.timer = setTimeout(() => void this.connect(), RECONNECT_MS);
  }
}
