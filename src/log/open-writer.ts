// Chooses who takes finished lines: logger(1), or what is behind standard output.
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { formatLine } from './line.js';
import type { LogSettings } from './settings.js';
import { linesLost, type LossReport } from './losses.js';
import { FileLines, StreamLines } from './stdout.js';
import { Syslog } from './syslog.js';
import type { LineWriter } from './writer.js';

const STDOUT = 1;

/** Opens what the settings name. */
export function openWriter(settings: LogSettings): LineWriter {
  const { destination, trouble, loggerPath } = settings;
  const report: LossReport = {
    trouble,
    line: (count, why) => {
      const message = `${linesLost(count)}: ${why}`;
      return formatLine(settings, { level: 'warn', message, event: 'lines-lost', count }, new Date());
    },
  };
  if (destination === 'syslog') return new Syslog(report, loggerPath);
  const name = destination === 'journal' ? 'the journal' : 'standard output';
  return isFile(STDOUT) ? new FileLines(STDOUT, name, report) : new StreamLines(process.stdout, name, report);
}

/** Closes a writer, and says beside the log what it has lost. */
export async function closeWriter(writer: LineWriter, { trouble }: LogSettings): Promise<void> {
  await writer.close();
  if (writer.lost > 0) trouble(`${linesLost(writer.lost)} since the start`);
}

/** Whether writing waits for nothing but a disk. */
function isFile(fd: number): boolean {
  const stats = fstatSync(fd);
  return !isatty(fd) && !stats.isFIFO() && !stats.isSocket();
}
