/** Rule sets that were written for tests, with the truth beside them, by hand: see rule-truths.ts for the letters. */
import type { RulesSetup } from '../../src/pf/rules.js';
import { FREEBSD_RULES, OPENBSD_DEFAULT, OPENBSD_RULES, SETUP } from './printed-rules.js';
import type { RuleTruth } from './rule-truths.js';

const FREEBSD: RulesSetup = { ...SETUP, os: 'freebsd', said: { value: undefined, where: '/etc/pf.conf' } };
const REFUSED = 'R+ R+ R+ R+';
const OPEN = 'P- P- P- P-';
const GUARDED = 'd+ d+ P+ P+';

function rules(
  what: string,
  text: string,
  fake: string,
  real: string,
  more: Partial<RuleTruth> = {},
): RuleTruth {
  return { what, rules: text, setup: SETUP, fake, real, fragments: 'unseen', ...more };
}

const lines = (text: string): string[] => text.trimEnd().split('\n');
const reversed = (text: string): string => `${lines(text).reverse().join('\n')}\n`;
const [PASS4 = '', PASS6 = '', ...BLOCKS] = lines(OPENBSD_RULES.replaceAll(' quick', ''));

/** `match in ... rdr-to`, for both families. */
const MATCH_REDIRECTS = `match in on egress inet proto tcp from any to 192.0.2.4 port = 25 rdr-to 10.0.0.4
match in on egress inet6 proto tcp from any to 2001:db8::4 port = 25 rdr-to 2001:db8:1::4
`;
const INNER_RULES = OPENBSD_RULES.replaceAll('192.0.2.4', '10.0.0.4').replaceAll(
  '2001:db8::4',
  '2001:db8:1::4',
);

/** Rule sets of tests. */
export const WRITTEN_TRUTHS: readonly RuleTruth[] = [
  rules('the example on OpenBSD', OPENBSD_RULES, REFUSED, GUARDED),
  rules('the example on FreeBSD', FREEBSD_RULES, REFUSED, GUARDED, { setup: FREEBSD, fragments: 'stopped' }),
  rules("the example ahead of OpenBSD's default rules", OPENBSD_RULES + OPENBSD_DEFAULT, REFUSED, GUARDED),
  rules(
    'the form without quick, behind a bare pass',
    `${OPENBSD_DEFAULT}${[...BLOCKS, PASS4, PASS6].join('\n')}\n`,
    REFUSED,
    GUARDED,
  ),
  rules('an anchor', `anchor "mxallowd" all {\n${OPENBSD_RULES}}\n${OPENBSD_DEFAULT}`, REFUSED, GUARDED),
  rules(
    'another port and table',
    OPENBSD_RULES.replaceAll('port = 25', 'port = 2525').replaceAll('mx-white', 'senders'),
    REFUSED,
    GUARDED,
    { setup: { ...SETUP, port: 2525, table: 'senders' } },
  ),
  rules('the default rules alone', OPENBSD_DEFAULT, OPEN, OPEN, { isTableMissing: true }),
  rules(
    'no log at the fake MX',
    OPENBSD_RULES.replaceAll('block return in log', 'block return in'),
    'R- R- R- R-',
    GUARDED,
  ),
  rules(
    'no log at the real MX',
    OPENBSD_RULES.replaceAll('block drop in log', 'block drop in'),
    REFUSED,
    'd- d- P+ P+',
  ),
  rules(
    'no log where they are let in',
    OPENBSD_RULES.replaceAll('pass in log', 'pass in'),
    REFUSED,
    'd+ d+ P- P-',
  ),
  rules(
    'a log that mxallowd does not read',
    OPENBSD_RULES.replaceAll(' log ', ' log (to pflog1) '),
    'R- R- R- R-',
    'd- d- P- P-',
  ),
  rules(
    'a fake MX that drops',
    OPENBSD_RULES.replaceAll('block return', 'block drop'),
    'd+ d+ d+ d+',
    GUARDED,
  ),
  rules(
    'a real MX that refuses',
    OPENBSD_RULES.replaceAll('block drop', 'block return'),
    REFUSED,
    'R+ R+ P+ P+',
  ),
  rules('the pass rules behind the block rules, all quick', reversed(OPENBSD_RULES), REFUSED, 'd+ d+ d+ d+'),
  rules(
    'a bare pass behind rules that are not quick',
    `${OPENBSD_RULES.replaceAll(' quick', '')}pass all flags S/SA\n`,
    OPEN,
    OPEN,
  ),
  rules('another table', OPENBSD_RULES.replaceAll('<mx-white>', '<mx_white>'), REFUSED, 'd+ d+ d+ d+', {
    isTableMissing: true,
  }),
  rules(
    'admitted senders are let in everywhere, first and without log',
    `pass in quick proto tcp from <mx-white> to any port = 25 flags S/SA\n${OPENBSD_RULES}`,
    'R+ R+ P- P-',
    'd+ d+ P- P-',
  ),
  rules(
    'the rules with which one goes live',
    OPENBSD_RULES.replaceAll('block drop in', 'pass in'),
    REFUSED,
    'L+ L+ P+ P+',
  ),
  rules(
    'one family only',
    `${lines(OPENBSD_RULES)
      .filter((line) => !line.includes('inet6'))
      .join('\n')}\n`,
    'R+ P- R+ P-',
    'd+ P- P+ P-',
  ),
  rules('FreeBSD without scrub', FREEBSD_RULES.replace(/^scrub.*\n/, ''), REFUSED, GUARDED, {
    setup: FREEBSD,
    fragments: 'open',
  }),
  rules(
    'FreeBSD 15 without scrub, pf.conf reassembles',
    FREEBSD_RULES.replace(/^scrub.*\n/, ''),
    REFUSED,
    GUARDED,
    {
      setup: { ...FREEBSD, release: '15.1-RELEASE', said: { value: 'yes', where: '/etc/pf.conf:3' } },
      fragments: 'stopped',
    },
  ),
  // with a scrub rule, whatever it is about, pf does not look at the option
  rules(
    'FreeBSD 15 with scrub elsewhere, pf.conf reassembles',
    FREEBSD_RULES.replace(/^scrub.*\n/, 'scrub in on em1 all fragment reassemble\n'),
    REFUSED,
    GUARDED,
    {
      setup: { ...FREEBSD, release: '15.1-RELEASE', said: { value: 'yes', where: '/etc/pf.conf:3' } },
      fragments: 'open',
    },
  ),
  rules(
    'an option that FreeBSD 13 does not know',
    FREEBSD_RULES.replace(/^scrub.*\n/, ''),
    REFUSED,
    GUARDED,
    {
      setup: { ...FREEBSD, release: '13.5-RELEASE', said: { value: 'yes', where: '/etc/pf.conf:3' } },
      fragments: 'open',
    },
  ),
  rules('pf.conf that reassembles, on OpenBSD', OPENBSD_RULES, REFUSED, GUARDED, {
    setup: { ...SETUP, said: { value: 'yes', where: '/etc/pf.conf:2' } },
    fragments: 'stopped',
  }),
  rules('pf.conf that does not, on OpenBSD', OPENBSD_RULES + OPENBSD_DEFAULT, REFUSED, GUARDED, {
    setup: { ...SETUP, said: { value: 'no', where: '/etc/pf.conf:2' } },
    fragments: 'open',
  }),
  // skipped: nothing below is looked at
  rules('an interface that pf skips', OPENBSD_RULES, '', '', {
    setup: { ...SETUP, skipped: new Set(['lo', 'lo0', 'egress']) },
    fragments: 'unseen',
    also: ['error rules-skip'],
  }),
  rules('interfaces that pf skips, elsewhere', OPENBSD_RULES, REFUSED, GUARDED, {
    setup: { ...SETUP, skipped: new Set(['lo', 'lo0', 'vio7']) },
  }),
  rules(
    'a match rule that moves the real MX, in front of a pass for all',
    `${MATCH_REDIRECTS}${OPENBSD_RULES}${OPENBSD_DEFAULT}`,
    REFUSED,
    'M- M- M- M-',
  ),
  rules(
    'a match rule that moves the real MX, in front of nothing',
    MATCH_REDIRECTS + OPENBSD_RULES,
    REFUSED,
    'M- M- M- M-',
  ),
  rules(
    'a match rule that moves the real MX, in front of a block for all',
    `block drop in log all\n${MATCH_REDIRECTS}${OPENBSD_RULES}`,
    REFUSED,
    'd+ d+ d+ d+',
  ),
  rules(
    'a match rule that moves the real MX, and rules for where it is then',
    MATCH_REDIRECTS + INNER_RULES,
    REFUSED,
    GUARDED,
  ),
  // its log has the address where it is then
  rules(
    'the same on FreeBSD',
    (MATCH_REDIRECTS + INNER_RULES).replaceAll('egress', 'em0'),
    REFUSED,
    'd- d- P- P-',
    {
      setup: { ...FREEBSD, release: '15.1-RELEASE', said: { value: 'yes', where: '/etc/pf.conf:3' } },
      fragments: 'stopped',
    },
  ),
  rules('rdr that moves the real MX ahead of the rules, on FreeBSD', FREEBSD_RULES, REFUSED, 'M- d+ M- P+', {
    setup: {
      ...FREEBSD,
      translations: 'rdr on em0 inet proto tcp from any to 192.0.2.4 port = smtp -> 10.0.0.4\n',
    },
    fragments: 'stopped',
  }),
  rules(
    'rdr for strangers, and who is in the table past it, on FreeBSD',
    FREEBSD_RULES,
    REFUSED,
    '>- d+ P+ P+',
    {
      setup: {
        ...FREEBSD,
        translations:
          'no rdr on em0 inet proto tcp from <mx-white> to 192.0.2.4 port = smtp\n' +
          'rdr pass on em0 inet proto tcp from ! <mx-white> to 192.0.2.4 port = smtp -> 127.0.0.1 port 8025\n',
      },
      fragments: 'stopped',
    },
  ),
  rules(
    'spamd beside it, by divert-to',
    `${OPENBSD_RULES.replace(/^block drop.*\n/gm, '')}pass in quick on egress inet proto tcp from any to any port = 25 flags S/SA divert-to 127.0.0.1 port 8025\nblock drop in log quick on egress inet6 proto tcp from any to 2001:db8::4 port = 25\n`,
    REFUSED,
    '>- d+ P+ P+',
  ),
];
