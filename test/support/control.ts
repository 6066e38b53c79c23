import { connect } from 'node:net';
import type { ControlRequest, ControlResults } from '../../src/control/protocol.js';

/** What a daemon has answered. */
export interface Answer<C extends ControlRequest['command']> {
  readonly items: unknown[];
  readonly result: ControlResults[C];
}

/**
 * Asks a daemon on its control socket.
 * @throws Error with the daemon's words when it cannot answer
 */
export async function ask<Q extends ControlRequest>(
  path: string,
  question: Q,
): Promise<Answer<Q['command']>> {
  const socket = connect(path);
  socket.end(`${JSON.stringify(question)}\n`);
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { item?: unknown; ok?: boolean; result?: unknown; message?: string });
  const last = lines.pop();
  if (last?.ok !== true) throw new Error(last?.message ?? 'no answer');
  return { items: lines.map(({ item }) => item), result: last.result as ControlResults[Q['command']] };
}
