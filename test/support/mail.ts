import { type ChildProcess, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Host, World, WORLD } from '../../src/demo/world.js';
import { until } from './daemon.js';
import { askCommand, writeNameServer, type Zones } from './dns.js';

/** Names and addresses of the mail that goes through a {@link MailWorld}. */
export const MAIL = {
  domain: 'example.test',
  fake: 'fake.example.test',
  real: 'real.example.test',
  recipient: 'somebody@example.test',
  sender: 'somebody@sender.example.net',
  /** where the sender's connections come from */
  source: { ipv4: '198.51.100.25', ipv6: '2001:db8:1000::25' },
} as const;

/** Where a {@link MailWorld}'s name server listens. */
export const NAME_SERVERS = [WORLD.other, WORLD.real[1]] as const;

const PROGRAMS = {
  nsd: 'nsd',
  postconf: 'postfix',
  postfix: 'postfix',
  sendmail: 'postfix',
  'smtp-sink': 'postfix',
  ss: 'iproute2',
} as const;

/** @returns why there can be no {@link MailWorld} here, if so */
export function mailUnavailable(): string | undefined {
  const mode = World.mode();
  if (typeof mode === 'object') return mode.unavailable;
  if (mode !== 'root') return 'Postfix needs more than one user, and with it real root';
  const missing = Object.entries(PROGRAMS).filter(
    ([program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  if (missing.length > 0) {
    return missing
      .map(([program, debianPackage]) => `${program} not found (package ${debianPackage})`)
      .join(', ');
  }
  const { stdout } = spawnSync('postconf', ['-dh', 'mail_version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = stdout.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 4)
    ? undefined
    : `Postfix ${stdout.trim()} cannot log to a file`;
}

/** @returns why {@link MailWorld.greylist} cannot be had here, if so */
export function greylistUnavailable(): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v postgrey && command -v nft'], { env: TOOLS });
  return found.status === 0 ? undefined : 'postgrey or nft not found (packages postgrey, nftables)';
}

const TOOLS = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/** A message that has arrived at the real MX. */
export interface ReceivedMessage {
  /** the address it came from */
  readonly client: string;
  /** SMTP envelope, header and body as smtp-sink writes them */
  readonly text: string;
}

/** What became of an attempt to deliver a message, in Postfix's words. */
export interface Outcome {
  /** `sent`, `deferred` or `bounced` */
  readonly status: string;
  /** the server that took it, like `real.example.test[192.0.2.4]:25`, or `none` */
  readonly relay: string;
  /** seconds since the message was given to Postfix */
  readonly delay: number;
  /** seconds before the queue manager, in it, for connections, and for transmission */
  readonly delays: readonly number[];
  /** the whole line of the log */
  readonly line: string;
}

const RECORDS = `
@ MX 10 fake
@ MX 20 real
${addresses('fake')}
${addresses('real')}`;

/**
 * A {@link World} where `mx` has a name server for {@link MAIL}'s domain and a real mail server, of a sort, behind the
 * real MX; on the `internet`, Postfix can be started.
 */
export class MailWorld {
  private readonly background: Background[] = [];
  private postfixes = 0;

  private constructor(
    readonly world: World,
    /** outside of the world, too; for who has files to exchange */
    readonly folder: string,
  ) {}

  /**
   * Returns when the name server answers and the real MX listens.
   * @param zones - more that the name server knows
   * @param listens - whether there is that mail server; else the caller starts one
   */
  static async create(zones: Zones = {}, listens = true): Promise<MailWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'mxallowd-mail-'));
    // for the user postfix
    chmodSync(folder, 0o755);
    const place = new MailWorld(await World.create('root'), folder);
    try {
      const sink = listens ? [place.listen()] : [];
      await Promise.all([place.resolve(), place.serveNames(zones), ...sink]);
    } catch (error) {
      await place.dispose();
      throw error;
    }
    return place;
  }

  /** The messages that have arrived; when Postfix says `sent`, its message is among them. */
  messages(): ReceivedMessage[] {
    const arrived = join(this.folder, 'arrived');
    return readdirSync(arrived).map((name) => {
      const text = readFileSync(join(arrived, name), 'utf8');
      const client = /^X-Client-Addr: (?:ipv6:)?(.*)$/m.exec(text)?.[1] ?? '';
      return { client, text };
    });
  }

  /**
   * Starts a Postfix on the host `internet`, with a configuration, queue and log of its own.
   * @param protocols - what it can reach others by
   * @param settings - more for its main.cf, or other than below
   */
  async postfix(
    protocols: 'ipv4' | 'ipv6' | 'all',
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Postfix> {
    this.postfixes += 1;
    const folder = join(this.folder, `postfix-${this.postfixes}`);
    return Postfix.start(this.world, folder, { inet_protocols: protocols, ...settings });
  }

  /** Starts postgrey, which has everybody come again after a second. */
  async postgrey(): Promise<void> {
    const folder = join(this.folder, 'postgrey');
    await this.world.script(`install -d -o postfix '${folder}'`);
    const options = ['--inet=127.0.0.1:10023', '--delay=1', `--dbdir=${folder}`, '--lookup-by-host'];
    const users = ['--user=postfix', '--group=postfix', '--whitelist-clients=/dev/null'];
    const server = this.start('mx', ['postgrey', ...options, ...users, `--pidfile=${folder}/pid`]);
    await this.listening('postgrey', [' 127.0.0.1:10023 '], [server]);
  }

  /**
   * Starts a Postfix beside the real MX, with a port of its own for strangers.
   * @param services - lines of master.cf; what it takes is among {@link messages}
   */
  async greylist(services: string): Promise<Postfix> {
    const template = join(this.folder, 'arrived', 'greylisted-');
    const sink = this.start('mx', ['smtp-sink', '-u', 'postfix', '-d', template, '127.0.0.1:2525', '64']);
    const settings = {
      myhostname: MAIL.real,
      relay_domains: MAIL.domain,
      // its own port 25 would be a loop
      relay_transport: 'smtp:[127.0.0.1]:2525',
      inet_interfaces: WORLD.real.join(', '),
      smtp_bind_address: '',
      smtp_bind_address6: '',
    };
    const postfix = await Postfix.start(
      ...([this.world, join(this.folder, 'strangers'), settings, 'mx', services] as const),
    );
    const ports = WORLD.real.map((one) => (one.includes(':') ? ` [${one}]:10025 ` : ` ${one}:10025 `));
    await this.listening('the Postfix for strangers', [' 127.0.0.1:2525 ', ...ports], [sink]);
    return postfix;
  }

  private async listening(
    what: string,
    listeners: readonly string[],
    programs: readonly Background[],
  ): Promise<void> {
    await until(`${what} listens`, async () => {
      for (const program of programs) program.mustRun();
      const { stdout } = await this.world.run('mx', ['ss', '-Hltn']);
      return listeners.every((listener) => stdout.includes(listener));
    });
  }

  async dispose(): Promise<void> {
    await this.world.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** All that asks for names in the world asks our name server. */
  private async resolve(): Promise<void> {
    const file = join(this.folder, 'resolv.conf');
    writeFileSync(file, `nameserver ${WORLD.other}\noptions timeout:20 attempts:3\n`);
    // often a link into /run, which is empty in the world
    await this.world.script(`
      target=$(readlink -m /etc/resolv.conf)
      case $target in
      /run/*) mkdir -p "$(dirname "$target")" && touch "$target" ;;
      esac
      mount --bind '${file}' "$target"`);
  }

  private async serveNames(zones: Zones): Promise<void> {
    const folder = join(this.folder, 'nsd');
    mkdirSync(folder);
    const config = writeNameServer(folder, NAME_SERVERS.join(','), {
      [MAIL.domain]: RECORDS,
      ...zones,
    });
    const server = this.start('mx', ['nsd', '-d', '-c', config]);
    await until('the name server answers', async () => {
      server.mustRun();
      const { status } = await this.world.run('internet', askCommand(WORLD.other));
      return status === 0;
    });
  }

  private async listen(): Promise<void> {
    await this.world.script(`install -d -o postfix '${join(this.folder, 'arrived')}'`);
    const template = join(this.folder, 'arrived', 'message-');
    const listeners = WORLD.real.map((address) =>
      address.includes(':') ? `[${address}]:25` : `${address}:25`,
    );
    const sinks = listeners.map((listener) =>
      this.start('mx', ['smtp-sink', '-u', 'postfix', '-h', MAIL.real, '-d', template, listener, '64']),
    );
    const shown = listeners.map((listener) => ` ${listener} `);
    await this.listening('the real MX', shown, sinks);
  }

  private start(host: Host, argv: readonly string[]): Background {
    const started = new Background(argv, this.world.spawn(host, argv, { stdio: ['ignore', 'pipe', 'pipe'] }));
    this.background.push(started);
    return started;
  }
}

/** A Postfix, on the host `internet` unless told otherwise. */
export class Postfix {
  private constructor(
    private readonly world: World,
    private readonly folder: string,
    private readonly host: Host,
  ) {}

  /**
   * Starts one; to send mail use {@link MailWorld.postfix}.
   * @param settings - more for its main.cf, or other than below
   * @param services - more for its master.cf
   */
  static async start(
    world: World,
    folder: string,
    settings: Readonly<Record<string, string>>,
    host: Host = 'internet',
    services = '',
  ): Promise<Postfix> {
    const postfix = new Postfix(world, folder, host);
    await world.script(`
      mkdir '${folder}'
      mkdir '${folder}/etc' '${folder}/spool'
      install -d -o postfix -m 700 '${folder}/data'`);
    const main: Readonly<Record<string, string>> = {
      compatibility_level: '3.6',
      queue_directory: join(folder, 'spool'),
      data_directory: join(folder, 'data'),
      maillog_file: postfix.logFile,
      maillog_file_prefixes: folder,
      enable_long_queue_ids: 'yes',
      myhostname: 'sender.example.net',
      mydestination: '',
      alias_maps: '',
      alias_database: '',
      notify_classes: '',
      // with two addresses that do not answer, it gives up before our tests do
      smtp_connect_timeout: '30s',
      smtp_bind_address: MAIL.source.ipv4,
      smtp_bind_address6: MAIL.source.ipv6,
      ...settings,
    };
    const lines = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
    writeFileSync(join(postfix.config, 'main.cf'), lines.join(''));
    writeFileSync(join(postfix.config, 'master.cf'), `${MASTER}${services}`);
    await postfix.control('start');
    return postfix;
  }

  /** All that it has logged. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** The connections that it could not make, in their order, like `fake.example.test[192.0.2.3]:25: Connection refused`. */
  failedConnections(): string[] {
    return [...this.log().matchAll(/ connect to (.*)$/gm)].map(([, what = '']) => what);
  }

  /**
   * Gives it a message, for {@link MAIL}'s recipient unless told otherwise.
   * @returns the message's name in the queue
   */
  async send(body: string, recipient: string = MAIL.recipient): Promise<string> {
    const messageId = `<${randomUUID()}@sender.example.net>`;
    const header = [`From: ${MAIL.sender}`, `To: ${recipient}`, `Message-ID: ${messageId}`, 'Subject: Hello'];
    const file = join(this.folder, 'message');
    writeFileSync(file, [...header, '', body, ''].join('\n'));
    await this.world.script(
      `sendmail -C '${this.config}' -i -f ${MAIL.sender} ${recipient} <'${file}'`,
      'internet',
    );
    const [, id = ''] = await this.logged(new RegExp(` (\\w+): message-id=${messageId}$`, 'm'));
    return id;
  }

  /** Waits until it has tried to deliver a message for the first time, and says how that went. */
  async outcome(id: string): Promise<Outcome> {
    const pattern = new RegExp(
      `^.* ${id}: to=.*, relay=(.*?), delay=(.*?), delays=(.*?), dsn=.*?, status=(\\w+) .*$`,
      'm',
    );
    const [line, relay = '', delay, delays = '', status = ''] = await this.logged(pattern);
    return { status, relay, delay: Number(delay), delays: delays.split('/').map(Number), line };
  }

  /** Waits until a message has been taken by the next server, however often it is tried. */
  async sent(id: string): Promise<void> {
    await this.logged(new RegExp(` ${id}: to=.*, status=sent `, 'm'));
  }

  async stop(): Promise<void> {
    await this.control('stop');
  }

  private get config(): string {
    return join(this.folder, 'etc');
  }

  private get logFile(): string {
    return join(this.folder, 'log');
  }

  private async control(command: string): Promise<void> {
    const { status, stderr } = await this.world.run(this.host, ['postfix', '-c', this.config, command]);
    if (status !== 0) throw new Error(`postfix ${command} failed: ${stderr}`);
  }

  private async logged(pattern: RegExp): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    try {
      await until(`Postfix logs ${pattern.source}`, () => (found = pattern.exec(this.log())) !== null);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n--- log:\n${this.log()}`, { cause: error });
    }
    if (found === null) throw new Error('not reached');
    return found;
  }
}

/** A service a line, none in a chroot, and none that listens on the network. */
const MASTER = `
pickup     unix       n - n 60    1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
proxywrite unix       - - n -     1 proxymap
smtp       unix       - - n -     - smtp
relay      unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
scache     unix       - - n -     1 scache
postlog    unix-dgram n - n -     1 postlogd
`;

/** A program that is to run as long as the world does. */
class Background {
  private said = '';
  private ended = false;

  constructor(
    private readonly argv: readonly string[],
    child: ChildProcess,
  ) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    child.once('close', () => (this.ended = true));
  }

  /** @throws Error with what it said, when it has ended */
  mustRun(): void {
    if (this.ended) throw new Error(`${this.argv.join(' ')} has ended: ${this.said.trim()}`);
  }
}

/** Resource records of a name in the zone. */
function addresses(name: 'fake' | 'real'): string {
  return WORLD[name]
    .map((address) => `${name} ${address.includes(':') ? 'AAAA' : 'A'} ${address}`)
    .join('\n');
}
