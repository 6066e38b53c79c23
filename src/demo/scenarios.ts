// The stories that the demonstration tells.
import type { Outcome } from './messages.js';
import type { Stage } from './stage.js';
import { WORLD } from './world.js';

/** A story of the demonstration. */
export interface Scenario {
  readonly title: string;
  /** what should come out, in a few words */
  readonly expected: string;
  /** addresses of the senders that play */
  readonly senders: readonly string[];
  /** Plays it, and says in the words of `expected` what came out. */
  readonly play: (
    stage: Stage,
    say: (sender: string, to: Target, outcome: Outcome, tookMs: number) => void,
  ) => Promise<string>;
}

/** Which MX a sender talks to. */
export type Target = 'fake MX' | 'real MX';

type Say = Parameters<Scenario['play']>[1];

const [FAKE4, FAKE6] = WORLD.fake;
const [REAL4, REAL6] = WORLD.real;
const BOTS = 100;
/** A SYN is sent again after 1 s and after 3 s. */
const PATIENCE_MS = 3500;
/** The fast sender asks the fake MX so much after the real one. */
const LATE_MS = 200;

async function go(stage: Stage, say: Say, from: string, target: Target): Promise<Outcome> {
  const isIpv6 = from.includes(':');
  const fake = isIpv6 ? FAKE6 : FAKE4;
  const real = isIpv6 ? REAL6 : REAL4;
  const { outcome, tookMs } = await stage.send(from, target === 'fake MX' ? fake : real, PATIENCE_MS);
  say(from, target, outcome, tookMs);
  return outcome;
}

/** Tries both in their order of preference, as RFC 5321 section 5.1 asks. */
function properSender(title: string, from: string): Scenario {
  return {
    title,
    expected: 'fake refused, real delivered',
    senders: [from],
    play: async (stage, say) => {
      const fake = await go(stage, say, from, 'fake MX');
      return `fake ${fake}, real ${await go(stage, say, from, 'real MX')}`;
    },
  };
}

function directSpam(title: string, from: string): Scenario {
  return {
    title,
    expected: 'real no answer',
    senders: [from],
    play: async (stage, say) => `real ${await go(stage, say, from, 'real MX')}`,
  };
}

const bots = Array.from({ length: BOTS }, (_, i) => `198.18.${i % 4}.${i + 1}`);

/** What is played once more when mxallowd has been killed: with nftables the kernel goes on. */
export const WITHOUT_MXALLOWD: readonly Scenario[] = [
  properSender('a new sender, mxallowd is killed', '198.51.100.50'),
  directSpam('spam, mxallowd is killed', '203.0.113.67'),
];

/** The stories, in the order in which they are played. */
export const SCENARIOS: readonly Scenario[] = [
  properSender('a proper sender', '198.51.100.10'),
  properSender('a proper sender, IPv6', '2001:db8:1000::10'),
  {
    title: 'spam to the fake MX only',
    expected: 'fake refused',
    senders: ['203.0.113.77'],
    play: async (stage, say) => `fake ${await go(stage, say, '203.0.113.77', 'fake MX')}`,
  },
  {
    title: 'faster than mxallowd',
    expected: 'fake refused, real delivered',
    senders: ['198.51.100.40'],
    play: async (stage, say) => {
      const real = go(stage, say, '198.51.100.40', 'real MX');
      await new Promise((resolve) => setTimeout(resolve, LATE_MS));
      const fake = await go(stage, say, '198.51.100.40', 'fake MX');
      return `fake ${fake}, real ${await real}`;
    },
  },
  directSpam('spam straight to the real MX', '203.0.113.66'),
  directSpam('the same by IPv6', '2001:db8:1666::66'),
  {
    title: `${BOTS} bots, straight to the real MX`,
    expected: `${BOTS} no answer`,
    senders: bots,
    play: async (stage) => {
      const results = await Promise.all(bots.map((bot) => stage.send(bot, REAL4, PATIENCE_MS)));
      const counts = new Map<Outcome, number>();
      for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
    },
  },
];
