// Bots that deliver to a mail server, each from an address of its own; run on the host `internet` of a World.
//   node bots.js '{"kind": "b1", "from": ["198.19.0.0", 200], "to": ["192.0.2.3", "192.0.2.4"], ...}'
// Prints how many had their message taken, and how long the first one that was taken took each.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What bots do, as they are seen in the wild. */
export type BotKind = 'b1' | 'b2' | 'b3' | 'b4' | 'b5' | 'b6' | 'b7';

/** What the bots are to do. */
export interface BotOrder {
  readonly kind: BotKind;
  /** the first one's address (its last two parts are counted up), and how many there are */
  readonly from: readonly [base: string, count: number];
  /** the mail servers of the domain, the preferred one first */
  readonly to: readonly string[];
  readonly recipient: string;
  /** how many begin in a second */
  readonly perSecond: number;
  /** when a bot gives up waiting, in seconds */
  readonly patience: number;
}

/** When a bot of kind b7 comes again, seconds after the first time. */
const AGAIN_S = [5, 60, 300];

type Fate = 'taken' | 'refused' | 'later' | 'silence';

/** The answers that are awaited: greeting, EHLO, MAIL, RCPT, DATA, the message. */
const COMMANDS = (recipient: string): readonly string[] => [
  'EHLO bot.example.net',
  'MAIL FROM:<bot@bot.example.net>',
  `RCPT TO:<${recipient}>`,
  'DATA',
  'Subject: cheap\r\n\r\ncheap\r\n.',
];

/** One try to deliver. @param early - whether it talks before it is greeted */
function deliver(order: BotOrder, from: string, to: string, early: boolean): Promise<Fate> {
  return new Promise((resolve) => {
    const commands = [...COMMANDS(order.recipient)];
    const socket = connect({ host: to, port: 25, localAddress: from, timeout: order.patience * 1000 });
    const end = (fate: Fate): void => {
      resolve(fate);
      socket.destroy();
    };
    if (early) socket.once('connect', () => socket.write(`${commands.shift() ?? ''}\r\n`));
    let unread = '';
    let answers = 0;
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (unread + text).split('\r\n');
      unread = lines.pop() ?? '';
      for (const line of lines) {
        if (/^[45]/.test(line)) return end('later');
        if (!/^\d\d\d /.test(line)) continue;
        answers++;
        if (answers > COMMANDS(order.recipient).length) return end('taken');
        const next = commands.shift();
        if (next !== undefined) socket.write(`${next}\r\n`);
      }
    });
    socket.once('timeout', () => end('silence'));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      end(code === 'ECONNREFUSED' ? 'refused' : 'silence'),
    );
    socket.once('close', () => end('silence'));
  });
}

/** What a bot of each kind does; whether its message was taken. */
const KINDS: Readonly<Record<BotKind, (order: BotOrder, from: string) => Promise<boolean>>> = {
  b1: async (order, from) => (await deliver(order, from, last(order), false)) === 'taken',
  b2: async (order, from) => (await deliver(order, from, last(order), true)) === 'taken',
  b3: async (order, from) => (await deliver(order, from, first(order), false)) === 'taken',
  b4: async (order, from) => {
    for (const to of order.to) if ((await deliver(order, from, to, false)) === 'taken') return true;
    return false;
  },
  b5: async (order, from) => {
    for (const to of order.to) {
      const fate = await deliver(order, from, to, false);
      if (fate !== 'later') return fate === 'taken';
    }
    return false;
  },
  b6: async (order, from) => {
    const fates = await Promise.all(order.to.map((to) => deliver(order, from, to, false)));
    return fates.includes('taken');
  },
  b7: async (order, from) => {
    let since = 0;
    for (const seconds of [0, ...AGAIN_S]) {
      await sleep((seconds - since) * 1000);
      since = seconds;
      if ((await deliver(order, from, last(order), false)) === 'taken') return true;
    }
    return false;
  },
};

function first({ to }: BotOrder): string {
  return String(to[0]);
}

function last({ to }: BotOrder): string {
  return String(to.at(-1));
}

/** What became of bots. */
export interface BotResult {
  readonly taken: number;
  /** from the first connection to the answer, of those whose message was taken: the middle one, milliseconds */
  readonly medianMs: number | undefined;
}

async function run(order: BotOrder): Promise<BotResult> {
  const [base, count] = order.from;
  const [a, b, c, d] = base.split('.').map(Number) as [number, number, number, number];
  const tookMs: number[] = [];
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      await sleep((i * 1000) / order.perSecond);
      const number = c * 256 + d + i;
      const startMs = performance.now();
      const isTaken = await KINDS[order.kind](order, `${a}.${b}.${(number >> 8) & 255}.${number & 255}`);
      if (isTaken) tookMs.push(performance.now() - startMs);
    }),
  );
  tookMs.sort((x, y) => x - y);
  return { taken: tookMs.length, medianMs: tookMs[tookMs.length >> 1] };
}

const order = process.argv[2];
if (order !== undefined) console.log(JSON.stringify(await run(JSON.parse(order) as BotOrder)));
