/** Texts that pfctl prints, for tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../../src/pf/finding.js';
import type { RulesSetup } from '../../src/pf/rules.js';
import { packageFolder } from '../../src/version.js';
import { address } from './observations.js';

/** A recording of FreeBSD's pfctl, from test/fixtures/pf-rules. */
export function recordedRules(name: string): string {
  return readFileSync(join(packageFolder(), 'test', 'fixtures', 'pf-rules', `${name}.out`), 'latin1');
}

/** examples/pf.conf as OpenBSD 7.8 prints it (docs/pf.md). */
export const OPENBSD_RULES = [
  'pass in log quick on egress inet proto tcp from <mx-white> to 192.0.2.4 port = 25 flags S/SA',
  'pass in log quick on egress inet6 proto tcp from <mx-white> to 2001:db8::4 port = 25 flags S/SA',
  'block return in log quick on egress inet proto tcp from any to 192.0.2.3 port = 25',
  'block return in log quick on egress inet6 proto tcp from any to 2001:db8::3 port = 25',
  'block drop in log quick on egress inet proto tcp from any to 192.0.2.4 port = 25',
  'block drop in log quick on egress inet6 proto tcp from any to 2001:db8::4 port = 25',
]
  .join('\n')
  .concat('\n');

/** The same in FreeBSD's words, with its scrub rule. */
export const FREEBSD_RULES = [
  'scrub in on em0 all fragment reassemble',
  'pass in log quick on em0 inet proto tcp from <mx-white> to 192.0.2.4 port = smtp flags S/SA keep state',
  'pass in log quick on em0 inet6 proto tcp from <mx-white> to 2001:db8::4 port = smtp flags S/SA keep state',
  'block return in log quick on em0 inet proto tcp from any to 192.0.2.3 port = smtp',
  'block return in log quick on em0 inet6 proto tcp from any to 2001:db8::3 port = smtp',
  'block drop in log quick on em0 inet proto tcp from any to 192.0.2.4 port = smtp',
  'block drop in log quick on em0 inet6 proto tcp from any to 2001:db8::4 port = smtp',
]
  .join('\n')
  .concat('\n');

/** What OpenBSD's /etc/pf.conf of a new installation comes to, without its rules for outgoing packets. */
export const OPENBSD_DEFAULT = `block return all
pass all flags S/SA
block return in on ! lo0 proto tcp from any to any port 6000:6010
`;

/** The set-up of the documents. */
export const SETUP: RulesSetup = {
  fake: [address('192.0.2.3'), address('2001:db8::3')],
  real: [address('192.0.2.4'), address('2001:db8::4')],
  port: 25,
  table: 'mx-white',
  pflogInterface: 'pflog0',
  os: 'openbsd',
};

/** The set-up of the recordings. */
export const RECORDED_SETUP: RulesSetup = {
  ...SETUP,
  fake: [address('192.168.1.3'), address('2001:dead:beef::2')],
  real: [address('192.168.1.4'), address('2001:dead:beef::1')],
  os: 'freebsd',
  release: '10.4-RELEASE',
};

/** Findings as `severity id`, those that are bad only unless told. */
export function brief(findings: readonly Finding[], withOk = false): string[] {
  return findings
    .filter(({ severity }) => withOk || severity !== 'ok')
    .map(({ severity, id }) => `${severity} ${id}`);
}
