import Transport from 'winston-transport';
import { Syslog } from './syslog.js';

/** Where winston puts the finished line (documented by winston-transport). */
const MESSAGE = Symbol.for('message');

/** Writes winston's lines to syslog. */
export class SyslogTransport extends Transport {
  private readonly syslog: Syslog;

  constructor(trouble: (message: string) => void, path?: string) {
    super();
    this.syslog = new Syslog(trouble, path);
  }

  override log(info: Record<string | symbol, unknown>, next: () => void): void {
    this.syslog.write(String(info['level']), String(info[MESSAGE]));
    next();
  }

  /** Waits until everything is handed over, a second at the most. */
  async drain(): Promise<void> {
    await this.syslog.drain();
  }
}
