import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/daemon.js';
import { EXIM, OPENSMTPD, POSTFIX, SENDMAIL, type SenderKind } from '../support/sender-kinds.js';
import { IPV4_FAKE, type Letter, sceneUnavailable, SenderScene, type Writer } from '../support/sender-scene.js';

/** How many hours of the senders the test lasts; 168 in senders.long.ts. */
const HOURS = Number(process.env['MXALLOWD_SENDER_HOURS'] ?? 24);
/** of ours, for an hour of the senders */
const HOUR_SECONDS = 4;
/** From message to message, in hours of the senders; each begins at another place. */
const GAPS = [1.5, 6, 2.5, 4, 8];
const DAY = 24;

const KINDS: readonly SenderKind[] = [EXIM, SENDMAIL, OPENSMTPD, POSTFIX];
const FAMILIES = ['IPv4', 'IPv6', 'both'] as const;

function addresses(family: (typeof FAMILIES)[number], i: number): string[] {
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
      addresses: addresses(family, 10 + 10 * k + f),
    })),
  ),
  ...KINDS.map((kind, k) => ({
    kind,
    names: [`${kind.name}-to-ipv4-fake.example.net`] as const,
    addresses: addresses('both', 15 + 10 * k),
    domain: IPV4_FAKE,
  })),
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
      const times = ['--whitelist-time', `${HOUR_SECONDS}`, ...(process.env['KT'] === 'no' ? [] : ['--known-time', `${8 * DAY * HOUR_SECONDS}`])];
      scene = await SenderScene.create(WRITERS, HOUR_SECONDS, times, POOLS);
      await Promise.all(scene.senders.map((each) => scene.writeFirst(each)));
    });
    after(() => scene.dispose());

    it('are not held up after their first message', async (t: TestContext) => {
      const letters: Letter[] = [];
      const writeAll = async (which: (typeof scene.senders)[number], place: number): Promise<void> => {
        const startMs = performance.now();
        for (let hour = 0, i = place; ; i++) {
          hour += GAPS[i % GAPS.length] ?? 0;
          if (hour > HOURS) return;
          await sleep(startMs + hour * HOUR_SECONDS * 1000 - performance.now());
          letters.push(await scene.write(which));
        }
      };
      await Promise.all(scene.senders.map(writeAll));
      const isDecided = ({ sender, recipient }: Letter): boolean =>
        sender.hasDelivered(recipient) || sender.hasHeldUp(recipient);
      await until('something became of each message', () => letters.every(isDecided));
      const heldUp = letters.filter(({ sender, recipient }) => sender.hasHeldUp(recipient));
      t.diagnostic(`${letters.length} messages of ${WRITERS.length} mail servers`);
      assert.deepEqual(
        heldUp.map(({ sender, recipient }) => `${sender.name}: ${recipient}\n${sender.log()}`),
        [],
      );
      const arrivals = scene.arrivals();
      assert.deepEqual(
        letters.filter(({ recipient }) => arrivals.get(recipient) !== 1),
        [],
      );
    });
  },
);
