import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { until } from '../support/daemon.js';
import { EXIM, OPENSMTPD, POSTFIX, SENDMAIL, type SenderKind } from '../support/sender-kinds.js';
import {
  type Correspondent,
  IPV4_FAKE,
  type Letter,
  sceneUnavailable,
  SenderScene,
  type Writer,
} from '../support/sender-scene.js';

/** How many hours of the senders the test lasts; 168 in senders.long.ts. */
const HOURS = Number(process.env['MXALLOWD_SENDER_HOURS'] ?? 24);
/** of ours, for an hour of the senders */
const HOUR_SECONDS = 4;
/** From message to message, in hours of the senders: a writer in three goes by each line. */
const GAPS = [
  [0.7, 1.2],
  [1.3, 2.4],
  [1.5, 6, 2.5, 4, 8],
];
const OFTEN = 'exim-often.example.net';
const OFTEN_GAPS = [1 / 3];
const DAY = 24;

const KINDS: readonly SenderKind[] = [EXIM, SENDMAIL, OPENSMTPD, POSTFIX];
const FAMILIES = ['IPv4', 'IPv6', 'both'] as const;

function addressesOf(family: (typeof FAMILIES)[number], i: number): string[] {
  const both = [`198.51.100.${i}`, `2001:db8:1000:${i}::25`];
  return both.filter((address) => family === 'both' || address.includes(':') === (family === 'IPv6'));
}

const POOL = [70, 71, 72, 73, 74, 75, 76, 77].map((last) => `198.51.100.${last}`);
const OTHER_POOL = [80, 81, 82, 83].map((last) => `198.51.100.${last}`);

const WRITERS: readonly Writer[] = [
  ...KINDS.flatMap((kind, k) =>
    FAMILIES.map((family, f) => ({
      kind,
      names: [`${kind.name}-${family.toLowerCase()}.example.net`] as const,
      addresses: addressesOf(family, 10 + 10 * k + f),
    })),
  ),
  ...KINDS.map((kind, k) => ({
    kind,
    names: [`${kind.name}-to-ipv4-fake.example.net`] as const,
    addresses: addressesOf('both', 15 + 10 * k),
    domain: IPV4_FAKE,
  })),
  // what senders-forgotten.test.ts shows is soonest seen with this one
  { kind: EXIM, names: [OFTEN], addresses: addressesOf('IPv4', 19) },
  {
    kind: EXIM,
    names: ['two-addresses.example.net'],
    addresses: ['198.51.100.60', '198.51.100.61'],
    from: '${if match{$host}{fake}{198.51.100.60}{198.51.100.61}}',
  },
  {
    kind: EXIM,
    names: ['f0.pool-example.com', ...POOL.map((_, i) => `f${i}.pool-example.com`).slice(1)],
    addresses: POOL,
    from: '198.51.100.${eval:70+${randint:8}}',
  },
  {
    kind: OPENSMTPD,
    names: ['f0.pool-example.org', ...OTHER_POOL.map((_, i) => `f${i}.pool-example.org`).slice(1)],
    addresses: OTHER_POOL,
    from: OTHER_POOL.join(', '),
  },
];

/** Their SPF records. */
const POOLS = {
  'pool-example.com': '@ TXT "v=spf1 ip4:198.51.100.64/28 -all"',
  'pool-example.org': '@ TXT "v=spf1 ip4:198.51.100.80/28 -all"',
};

describe(
  `mail servers that write for ${HOURS} hours of theirs`,
  { skip: sceneUnavailable(KINDS), timeout: (HOURS * HOUR_SECONDS + 600) * 1000 },
  () => {
    let scene: SenderScene;

    before(async () => {
      const knownSeconds = 8 * DAY * HOUR_SECONDS;
      const times = ['--whitelist-time', String(HOUR_SECONDS), '--known-time', String(knownSeconds)];
      scene = await SenderScene.create(WRITERS, HOUR_SECONDS, times, POOLS);
      await Promise.all(scene.senders.map((each) => scene.writeFirst(each)));
    });
    after(() => scene.dispose());

    it('are not held up after their first message', async (t: TestContext) => {
      const letters: Letter[] = [];
      const from = scene.daemon.events.length;
      const writeAll = async (which: Correspondent, i: number): Promise<void> => {
        const gaps = which[1].name === OFTEN ? OFTEN_GAPS : (GAPS[i % GAPS.length] ?? []);
        for await (const letter of scene.writeRegularly(which, gaps, (hour) => hour <= HOURS)) {
          letters.push(letter);
        }
      };
      await Promise.all(scene.senders.map(writeAll));
      // what never gets under way is held up, too
      const isOver = (): boolean => letters.every(({ fate }) => fate !== 'under way');
      await until('something became of each message', isOver).catch(() => undefined);
      t.diagnostic(`${letters.length} messages of ${WRITERS.length} mail servers`);
      const late = letters.filter(({ fate }) => fate !== 'delivered');
      assert.deepEqual(
        late.map(({ sender, recipient, fate }) => `${sender.name}: ${recipient} ${fate}\n${sender.log()}`),
        [],
      );
      // nor does any of their addresses that the fake MX can see meet silence; the others' SYN comes again
      const seen = WRITERS.filter(({ names, domain }) => names.length === 1 && domain === undefined);
      const addresses = new Set(seen.flatMap((writer) => writer.addresses));
      assert.deepEqual(
        [...scene.refused(from)].filter((address) => addresses.has(address)),
        [],
      );
      const arrivals = scene.arrivals();
      assert.deepEqual(
        letters.map(({ recipient }) => arrivals.get(recipient)).filter((count) => count !== 1),
        [],
      );
    });
  },
);
