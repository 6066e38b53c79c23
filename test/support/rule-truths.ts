/**
 * Rule sets with the truth beside them: what pf does with SYNs under these rules, and whether mxallowd hears of it. Those
 * of recordings are compared with what was recorded; what nobody has sent there, and the others, were worked out by hand.
 */
import type { Interfaces } from '../../src/pf/interfaces.js';
import type { RulesSetup } from '../../src/pf/rules.js';
import { printedRules } from './fates.js';
import { RECORDED_SETUP } from './printed-rules.js';

/**
 * What becomes of a SYN: `R` refused, `d` dropped, `P` passed, `L` passed by a logging rule that names the mail server
 * (as one does to look first), `>` passed on to another address on purpose, `M` led elsewhere before the rules for the
 * mail server are looked at. Behind it `+`: mxallowd hears of it; `-`: it does not.
 */
export type Fate = `${'R' | 'd' | 'P' | 'L' | '>' | 'M'}${'+' | '-'}`;

/** A rule set, and what is so. */
export interface RuleTruth {
  readonly what: string;
  /** names of the recordings that were made with these rules; the rules are the first one's */
  readonly recordings?: readonly string[];
  readonly rules: string;
  readonly setup: RulesSetup;
  /** strangers by IPv4 and by IPv6, then who is in the table */
  readonly fake: string;
  readonly real: string;
  /** what is so of a SYN in fragments; `unseen`: pfctl does not tell */
  readonly fragments: 'stopped' | 'open' | 'unseen';
  /** no rule names the table */
  readonly isTableMissing?: true;
  /** what is to be said besides */
  readonly also?: readonly string[];
}

const PF_CONF = { value: undefined, where: '/etc/pf.conf' };
const FREEBSD10: RulesSetup = { ...RECORDED_SETUP, said: PF_CONF, interfaces: machine('em0', []) };
const FREEBSD15: RulesSetup = {
  ...FREEBSD10,
  release: '15.1-RELEASE-p1',
  interfaces: machine('vtnet0', []),
};
const OPENBSD: RulesSetup = {
  ...RECORDED_SETUP,
  os: 'openbsd',
  release: '7.8',
  interfaces: machine('vio1', ['egress']),
  skipped: new Set(['lo', 'lo0', 'vio0']),
};

/** The interface that had the mail servers' addresses, among others. */
function machine(name: string, groups: readonly string[]): Interfaces {
  const addresses = [...RECORDED_SETUP.fake, ...RECORDED_SETUP.real];
  return new Map([
    [name, { groups, addresses }],
    ['vio0', { groups: [], addresses: [] }],
    ['lo0', { groups: ['lo'], addresses: [] }],
    ['pflog0', { groups: ['pflog'], addresses: [] }],
  ]);
}

/** A recording's rules with the truth about them. */
function recorded(
  setup: RulesSetup,
  folder: string,
  names: readonly string[],
  fake: string,
  real: string,
  fragments: RuleTruth['fragments'],
  more: Partial<RuleTruth> = {},
): RuleTruth {
  const recordings = names.map((name) => `${folder}/${name}`);
  const [first = ''] = recordings;
  const rules = more.rules ?? printedRules(first);
  return { what: first, recordings, rules, setup, fake, real, fragments, ...more };
}

const ANSWERED = 'R+ R+ R+ R+';
const DROPPED = 'd+ d+ d+ d+';
const GUARDED = 'd+ d+ P+ P+';

const FREEBSD10_TRUTHS: readonly RuleTruth[] = [
  recorded(
    FREEBSD10,
    'pflog',
    [
      '01-block-v4-syn.pcap',
      '02-block-v6-syn.pcap',
      '03-pass-v4-v6-syn.pcap',
      '03b-pass-retransmission.pcap',
      '04-blocked-and-whitelisted-to-fake.pcap',
      '06-fragments.pcap',
      '06b-fragment-bypass.pcap',
      '10-nonsyn-blocked.pcap',
      '11-nonsyn-white.pcap',
      '13-log-connection.pcap',
      '16-snaplen-116.pcap',
      '16-snaplen-65535.pcap',
      '17-default-snaplen.pcap',
      '18-filter-expression.pcap',
      '19-filter-pf-keywords.pcap',
      '29-pflog0-down.pcap',
      '29b-pf-disabled.pcap',
      '30-burst-20000-rate4000.pcap.gz',
      '34-pflog0-destroyed.pcap',
    ],
    DROPPED,
    GUARDED,
    'open',
  ),
  recorded(FREEBSD10, 'pflog', ['09-udp-icmp.pcap'], DROPPED, DROPPED, 'stopped', { isTableMissing: true }),
  recorded(FREEBSD10, 'pflog', ['14-log-user.pcap'], DROPPED, GUARDED, 'open'),
  // no rule in the anchor passes IPv6
  recorded(FREEBSD10, 'pflog', ['15-anchor.pcap'], DROPPED, 'd+ d+ P+ d+', 'open'),
  // for what goes out; for what comes in by lo0
  recorded(FREEBSD10, 'pflog', ['20-out.pcap'], 'P- P- P- P-', 'P- P- P- P-', 'open', {
    isTableMissing: true,
  }),
  recorded(FREEBSD10, 'pflog', ['21-loopback.pcap'], 'P- P- P- P-', 'P- P- P- P-', 'open', {
    isTableMissing: true,
  }),
  // strangers are led to the fake MX's port 2525 and dropped there, which is what the log says; nobody is let in
  recorded(FREEBSD10, 'pflog', ['23-rdr.pcap'], DROPPED, 'd- d+ d+ d+', 'open', {
    isTableMissing: true,
    setup: {
      ...FREEBSD10,
      translations:
        'rdr log on em0 inet proto tcp from ! <mx-white> to 192.168.1.4 port = smtp -> 192.168.1.3 port 2525\n',
    },
  }),
  recorded(FREEBSD10, 'pflog', ['25-label-return.pcap'], ANSWERED, ANSWERED, 'open', {
    isTableMissing: true,
  }),
  recorded(FREEBSD10, 'pflog', ['27-second-pflog.pcap'], DROPPED, DROPPED, 'open', {
    isTableMissing: true,
    setup: { ...FREEBSD10, pflogInterface: 'pflog1' },
  }),
  {
    what: 'the same, where mxallowd listens on pflog0',
    rules: printedRules('pflog/27-second-pflog.pcap'),
    setup: FREEBSD10,
    fake: 'd- d- d- d-',
    real: 'd- d- d- d-',
    fragments: 'open',
    isTableMissing: true,
  },
];

/** Rules of the OpenBSD recordings, where they do not say them. */
const STRANGERS_REDIRECTED = [
  'pass in log quick on egress inet proto tcp from <mx-white> to 192.168.1.4 port = 25 flags S/SA',
  'pass in log quick on egress inet6 proto tcp from <mx-white> to 2001:dead:beef::1 port = 25 flags S/SA',
  'block return in log quick on egress inet proto tcp from any to 192.168.1.3 port = 25',
  'block return in log quick on egress inet6 proto tcp from any to 2001:dead:beef::2 port = 25',
  'pass in log quick on egress inet proto tcp from any to 192.168.1.4 port = 25 flags S/SA rdr-to 127.0.0.1 port 25',
  'pass in log quick on egress inet6 proto tcp from any to 2001:dead:beef::1 port = 25 flags S/SA rdr-to ::1 port 25',
  'pass all flags S/SA',
].join('\n');

const OPENBSD_TRUTHS: readonly RuleTruth[] = [
  recorded(
    OPENBSD,
    'openbsd/pflog',
    [
      '01-block-v4-syn.pcap',
      '02-block-v6-syn.pcap',
      '03-pass-v4-v6-syn.pcap',
      '04-whitelisted-to-fake.pcap',
      '05-ip-options.pcap',
      '13b-log-connection.pcap',
      '16-snaplen-116.pcap',
      '16-snaplen-160.pcap',
      '16-snaplen-162.pcap',
      '16-snaplen-65535.pcap',
      '16-snaplen-68.pcap',
      '16-snaplen-96.pcap',
      '17-default-snaplen.pcap',
      '29-pflog0-down.pcap',
      '33-martians.pcap',
      '34-pflog0-destroyed.pcap',
    ],
    ANSWERED,
    GUARDED,
    'unseen',
  ),
  recorded(OPENBSD, 'openbsd/pflog', ['06b-fragments-reassemble-no.pcap'], ANSWERED, GUARDED, 'open', {
    setup: { ...OPENBSD, said: { value: 'no', where: '/etc/pf.conf:1' } },
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['06c-fragments-reassemble-no-quick.pcap'], DROPPED, GUARDED, 'open', {
    setup: { ...OPENBSD, said: { value: 'no', where: '/etc/pf.conf:1' } },
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['09-udp-icmp.pcap'], DROPPED, DROPPED, 'unseen', {
    isTableMissing: true,
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['13-log-all.pcap'], ANSWERED, GUARDED, 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['14-log-user.pcap'], ANSWERED, GUARDED, 'unseen'),
  recorded(
    OPENBSD,
    'openbsd/pflog',
    ['15-anchor.pcap', ...[...'abcdeghik'].map((letter) => `19-filter-pf${letter}.pcap`)],
    ANSWERED,
    GUARDED,
    'unseen',
  ),
  recorded(
    OPENBSD,
    'openbsd/pflog',
    [...'abcdefg'].map((letter) => `18-filter${letter}.pcap`),
    ANSWERED,
    DROPPED,
    'unseen',
    { isTableMissing: true },
  ),
  // who is admitted is led to another port, but logged as he came
  recorded(OPENBSD, 'openbsd/pflog', ['23-rdr-to.pcap'], ANSWERED, 'd+ d+ >+ >+', 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['23c-af-to.pcap'], 'P- P- P- P-', 'd+ d+ d+ >+', 'unseen'),
  // ICMP is an answer, too; there are no rules for IPv6
  recorded(OPENBSD, 'openbsd/pflog', ['25-label-return.pcap'], 'R+ P- R+ P-', 'R+ P- R+ P-', 'unseen', {
    isTableMissing: true,
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['27-pflog1.pcap'], ANSWERED, GUARDED, 'unseen', {
    setup: { ...OPENBSD, pflogInterface: 'pflog1' },
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['27-pflog1b.pcap'], 'R- R- R- R-', 'd- d- P- P-', 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['28-match-log.pcap'], ANSWERED, GUARDED, 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['28b-match-log-matches.pcap'], ANSWERED, GUARDED, 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['30-burst-20000-rate4000.pcap.gz'], DROPPED, GUARDED, 'stopped', {
    setup: { ...OPENBSD, said: { value: 'yes', where: '/etc/pf.conf:1' } },
  }),
  recorded(OPENBSD, 'openbsd/pflog', ['31-synproxy.pcap'], ANSWERED, GUARDED, 'unseen'),
  // up to the limit
  recorded(OPENBSD, 'openbsd/pflog', ['32-state-limit.pcap'], ANSWERED, GUARDED, 'unseen'),
  recorded(OPENBSD, 'openbsd/pflog', ['35-strangers-rdr-to.pcap'], ANSWERED, '>+ >+ P+ P+', 'stopped', {
    rules: STRANGERS_REDIRECTED,
    setup: { ...OPENBSD, said: { value: 'yes', where: '/etc/pf.conf:1' } },
  }),
];

const FREEBSD15_TRUTHS: readonly RuleTruth[] = [
  recorded(
    FREEBSD15,
    'freebsd15/pflog',
    [
      '51-block.pcap',
      '52-pass.pcap',
      '54-ipopt.pcap',
      '55-badck.pcap',
      '56-fragments-scrub.pcap',
      '71-snaplen-116.pcap',
      '72-snaplen-124.pcap',
      '80-burst-5000-rate4000.pcap.gz',
    ],
    ANSWERED,
    GUARDED,
    'stopped',
  ),
  // those of IPv6 are put together in any case
  recorded(FREEBSD15, 'freebsd15/pflog', ['57-fragments-noscrub.pcap'], DROPPED, GUARDED, 'open'),
  recorded(FREEBSD15, 'freebsd15/pflog', ['58-fragments-set-reassemble.pcap'], DROPPED, GUARDED, 'stopped', {
    setup: { ...FREEBSD15, said: { value: 'yes', where: '/etc/pf.conf:1' } },
  }),
  recorded(FREEBSD15, 'freebsd15/pflog', ['59-fragments-blocklog-all.pcap'], DROPPED, DROPPED, 'stopped', {
    isTableMissing: true,
  }),
  recorded(FREEBSD15, 'freebsd15/pflog', ['61-anchor-inline.pcap'], DROPPED, DROPPED, 'open', {
    rules: `anchor "greylisting-anchor-name" all {
  block drop in log quick on vtnet0 proto tcp from any to any port = smtp
}
`,
    isTableMissing: true,
  }),
  // strangers are led past all rules by IPv4
  recorded(FREEBSD15, 'freebsd15/pflog', ['63-rdr-pass.pcap'], DROPPED, 'M+ d+ M+ d+', 'open', {
    isTableMissing: true,
    setup: {
      ...FREEBSD15,
      translations:
        'rdr pass log on vtnet0 inet proto tcp from any to 192.168.1.4 port = smtp -> 192.168.1.4 port 8025\n',
    },
  }),
  recorded(FREEBSD15, 'freebsd15/pflog', ['64-rdr-to.pcap'], 'd+ P- d+ P-', '>- P- >- P-', 'open', {
    isTableMissing: true,
  }),
  recorded(FREEBSD15, 'freebsd15/pflog', ['65-match-log.pcap'], ANSWERED, GUARDED, 'open'),
  recorded(FREEBSD15, 'freebsd15/pflog', ['66-log-all-connection.pcap'], DROPPED, GUARDED, 'open'),
  // these let who is in the table in to the fake MX as well
  recorded(FREEBSD15, 'freebsd15/pflog', ['67-log-user.pcap'], 'd+ d+ P+ P+', GUARDED, 'open'),
  recorded(FREEBSD15, 'freebsd15/pflog', ['68-ridentifier.pcap'], 'd+ d+ P+ P+', GUARDED, 'open'),
  recorded(FREEBSD15, 'freebsd15/pflog', ['69-linklocal.pcap'], DROPPED, DROPPED, 'open', {
    isTableMissing: true,
  }),
  recorded(FREEBSD15, 'freebsd15/pflog', ['73-synproxy.pcap'], 'd+ d+ P+ P+', GUARDED, 'open'),
];

/** All rule sets of the recordings. */
export const RECORDED_TRUTHS: readonly RuleTruth[] = [
  ...FREEBSD10_TRUTHS,
  ...OPENBSD_TRUTHS,
  ...FREEBSD15_TRUTHS,
];
