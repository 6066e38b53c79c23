// A question to whoever sits at the terminal.
import { createInterface } from 'node:readline/promises';

/** Asks on standard error, and reads from the terminal; `nobody`: standard input is none. */
export async function askYesNo(question: string): Promise<'yes' | 'no' | 'nobody'> {
  if (!process.stdin.isTTY) return 'nobody';
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim()) ? 'yes' : 'no';
}
