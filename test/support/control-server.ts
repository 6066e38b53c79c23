import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { ControlReply, ControlRequest } from '../../src/control/protocol.js';

/** What is said to a question: lines, or whatever the test does with the connection. */
export type Said = readonly ControlReply[] | ((connection: Socket) => void);

/** What a server says to each question. */
export type Script = Partial<Record<ControlRequest['command'], Said>>;

/** A line of an answer, as it goes over the socket. */
export function replyLine(reply: ControlReply): string {
  return `${JSON.stringify(reply)}\n`;
}

/** A server on a control socket that says what a test tells it to. */
export class ControlServer {
  /** what was asked, in the order of time */
  readonly questions: ControlRequest[] = [];
  readonly connections = new Set<Socket>();
  /** called for each question, after it was answered */
  onQuestion: (question: ControlRequest) => void = () => undefined;

  private constructor(
    readonly path: string,
    private readonly server: Server,
    private readonly script: Script,
  ) {
    server.on('connection', (connection) => this.serve(connection));
  }

  static async start(path: string, script: Script): Promise<ControlServer> {
    const server = createServer();
    const started = new ControlServer(path, server, script);
    await once(server.listen(path), 'listening');
    return started;
  }

  /** Says something on all connections. */
  say(reply: ControlReply): void {
    for (const connection of this.connections) connection.write(replyLine(reply));
  }

  /** Closes all connections. */
  hangUp(): void {
    for (const connection of this.connections) connection.destroy();
  }

  async stop(): Promise<void> {
    this.hangUp();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(connection: Socket): void {
    let question = '';
    this.connections.add(connection);
    connection.on('close', () => this.connections.delete(connection));
    connection.on('error', () => undefined);
    connection.setEncoding('utf8').on('data', (text: string) => {
      question += text;
      if (!question.endsWith('\n')) return;
      const request = JSON.parse(question) as ControlRequest;
      question = '';
      this.questions.push(request);
      this.answer(connection, this.script[request.command]);
      this.onQuestion(request);
    });
  }

  private answer(connection: Socket, said: Said | undefined): void {
    if (typeof said === 'function') said(connection);
    else if (said !== undefined) connection.write(said.map(replyLine).join(''));
    else connection.write(replyLine({ ok: false, exitStatus: 64, message: 'not in the script' }));
  }
}
