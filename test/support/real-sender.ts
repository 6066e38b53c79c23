/** A real mail server on a machine of its own, which sends. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { World } from '../../src/demo/world.js';
import { Machine, type MachineSettings } from './machine.js';
import type { SenderKind, SenderSettings } from './sender-kinds.js';

/** Where it is, and how it is set up. */
export type RealSenderSettings = Pick<
  MachineSettings,
  'name' | 'hostName' | 'addresses' | 'nameServers' | 'folder'
> &
  SenderSettings;

/** A mail server of some kind, running. */
export class RealSender {
  private constructor(
    readonly kind: SenderKind,
    private readonly machine: Machine,
    private readonly settings: RealSenderSettings,
  ) {}

  get name(): string {
    return this.settings.hostName;
  }

  /** Returns when it takes messages. */
  static async start(world: World, kind: SenderKind, settings: RealSenderSettings): Promise<RealSender> {
    const { unpacked, users } = kind;
    const machine = await Machine.create(world, {
      ...settings,
      users,
      ...(unpacked === undefined ? {} : { unpacked }),
    });
    const sender = new RealSender(kind, machine, settings);
    const etc = join(settings.folder, 'etc');
    mkdirSync(etc);
    for (const [path, text] of Object.entries(kind.files(settings))) {
      writeFileSync(join(etc, basename(path)), text);
      await machine.script(`mkdir -p '${join(path, '..')}' && cp '${join(etc, basename(path))}' '${path}'`);
    }
    await machine.script(kind.start(settings));
    return sender;
  }

  /** Gives it a message. */
  async send(recipient: string): Promise<void> {
    const sender = `somebody@${this.settings.hostName}`;
    const message = `From: ${sender}\\nTo: ${recipient}\\nSubject: Hello\\n\\nHello.\\n`;
    const command = this.kind.submit(sender, recipient).join(' ');
    await this.machine.script(`printf '${message}' | ${command}`);
  }

  /** Has it try now what waits in its queue, where its own clock would take long. */
  async tryAgain(): Promise<void> {
    if (this.kind.again !== undefined) await this.machine.run(this.kind.again);
  }

  /** All that it has logged. */
  log(): string {
    try {
      return readFileSync(join(this.settings.folder, this.kind.log), 'utf8');
    } catch {
      return '';
    }
  }

  /** Whether a mail server has taken the message for a recipient. */
  hasDelivered(recipient: string): boolean {
    return this.kind.delivered(recipient).test(this.log());
  }

  /** Whether the message for a recipient was not delivered in the first run. */
  hasHeldUp(recipient: string): boolean {
    return this.kind.heldUp(recipient).test(this.log());
  }
}
