/** Rule sets with the truth beside them: the recordings say the same, and nothing that is said of the rules is wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { familyOf, formatAddress } from '../../src/packet/address.js';
import { judgePacket, type Outcome } from '../../src/pf/evaluate.js';
import { judgeRules } from '../../src/pf/rules.js';
import { parseRedirects } from '../../src/pf/parse-redirects.js';
import { parseRules } from '../../src/pf/parse-rules.js';
import { brief } from '../support/printed-rules.js';
import { seenIn, type Who } from '../support/fates.js';
import { PFLOG_RECORDINGS } from '../support/recordings.js';
import { RECORDED_TRUTHS, type RuleTruth } from '../support/rule-truths.js';
import { WRITTEN_TRUTHS } from '../support/written-truths.js';

type Role = 'fake' | 'real';
const ROLES = ['fake', 'real'] as const;
const WHOM = ['stranger 4', 'stranger 6', 'listed 4', 'listed 6'] as const;

/** By whom it was sent: letter and sign. */
function fatesOf(truth: RuleTruth, role: Role): Map<string, string> {
  const fates = truth[role] === '' ? [] : truth[role].split(' ');
  assert.ok(fates.length === 0 || fates.length === WHOM.length, truth.what);
  return new Map(fates.map((fate, at) => [WHOM[at] ?? '', fate]));
}

/** What has to be said when this is so, worst first; as `severity id`. */
function due(truth: RuleTruth): Set<string> {
  const said = new Set(truth.also);
  if (truth.isTableMissing === true) said.add('error rules-table');
  for (const family of [4, 6]) {
    for (const one of [...dueOfFake(truth, family), ...dueOfReal(truth, family)]) said.add(one);
  }
  if (truth.also === undefined) {
    said.add({ stopped: 'ok', open: 'warning', unseen: 'note' }[truth.fragments] + ' rules-fragments');
  }
  return said;
}

function dueOfFake(truth: RuleTruth, family: number): string[] {
  const fates = fatesOf(truth, 'fake');
  const [stranger, listed] = [fates.get(`stranger ${family}`), fates.get(`listed ${family}`)];
  if (stranger === undefined || listed === undefined) return [];
  if (stranger.endsWith('-')) return ['error rules-fake-log'];
  const wrong = [
    ...(listed.endsWith('-') && truth.isTableMissing !== true ? ['warning rules-fake-renew'] : []),
    ...(stranger.startsWith('R') ? [] : ['note rules-fake-refuse']),
  ];
  return wrong.length > 0 ? wrong : ['ok rules-fake'];
}

function dueOfReal(truth: RuleTruth, family: number): string[] {
  const fates = fatesOf(truth, 'real');
  const [stranger, listed] = [fates.get(`stranger ${family}`), fates.get(`listed ${family}`)];
  if (stranger === undefined || listed === undefined) return [];
  const isIn = /^[PLM>]/.test(stranger);
  const wrong = isIn ? [`${/^[L>]/.test(stranger) ? 'warning' : 'error'} rules-real-block`] : [];
  if (!isIn && stranger.endsWith('-')) wrong.push('warning rules-real-log');
  if (stranger.startsWith('R')) wrong.push('note rules-real-drop');
  if (truth.isTableMissing === true) return wrong;
  if (/^[Rd]/.test(listed)) wrong.push('error rules-real-admit');
  else if (!isIn && listed.endsWith('-')) wrong.push('warning rules-real-admit-log');
  return wrong.length > 0 ? wrong : ['ok rules-real'];
}

/** Judges one SYN as letter and sign, those letters that only a rule's purpose tells apart as `P`. */
function judged(truth: RuleTruth, role: Role, whom: string): string {
  const { setup } = truth;
  const [kind, family] = whom.split(' ');
  const destination = setup[role][family === '4' ? 0 : 1] ?? assert.fail();
  const { interfaces } = setup;
  const arrival =
    interfaces?.keys().next().value ??
    /^\w+ .*\bin .*\bon (\w+)/m.exec(truth.rules.replace(/^scrub.*/gm, ''))?.[1];
  const { likely, possible } = judgePacket(
    parseRules(truth.rules),
    { kind: 'syn', destination, port: setup.port, listed: kind === 'listed' },
    { table: setup.table, arrival, interfaces, os: setup.os },
    parseRedirects(setup.translations ?? ''),
  );
  const words = [...new Set([likely, ...possible].map((one) => wordOf(one, truth, role)))];
  return words.join(' or ');
}

function wordOf({ action, returns, logs, logged }: Outcome, { setup }: RuleTruth, role: Role): string {
  const isHeard =
    logs.includes(setup.pflogInterface) &&
    logged?.port === setup.port &&
    setup[role].some((own) => own === logged.address);
  return `${action === 'pass' ? 'P' : returns ? 'R' : 'd'}${isHeard ? '+' : '-'}`;
}

const plain = (fate: string): string => fate.replace(/^[L>M]/, 'P');

for (const [group, truths] of [
  ['recorded', RECORDED_TRUTHS],
  ['written', WRITTEN_TRUTHS],
] as const) {
  describe(`the truth about ${group} rules`, () => {
    for (const truth of truths) {
      it(`is what is judged of each SYN: ${truth.what}`, () => {
        for (const role of ROLES) {
          for (const [whom, fate] of fatesOf(truth, role)) {
            assert.equal(judged(truth, role, whom), plain(fate), `${whom} at the ${role} MX`);
          }
        }
      });

      it(`is what check says, no more and no less: ${truth.what}`, () => {
        const findings = judgeRules(truth.rules, truth.setup);
        assert.deepEqual([...new Set(brief(findings, true))].sort(), [...due(truth)].sort());
        // never a block rule ahead of the pass rule
        for (const { advice = '' } of findings) assert.doesNotMatch(advice, /^"block .*: put it first/);
      });
    }
  });
}

describe('a recording', () => {
  for (const truth of RECORDED_TRUTHS) {
    it(`says what is taken for true: ${truth.what}`, () => {
      let count = 0;
      for (const name of truth.recordings ?? []) {
        for (const [who, all] of seenIn(name)) {
          const fate = truthFor(truth, who);
          // of a packet that is logged for each rule that matches the last record says what became of it
          for (const { action, answer } of name.includes('28b') ? all.slice(-1) : all) {
            assert.equal(fate[1], '+', `${name}: ${who} is logged`);
            assert.equal(action, /^[Rd]/.test(fate) ? 'block' : 'pass', `${name}: ${who}`);
            if (answer !== undefined) assert.match(answer, fate.startsWith('R') ? /^R/ : /^(SA|A|RA)$/);
            if (fate.startsWith('d')) assert.equal(answer, undefined, `${name}: ${who}`);
            count++;
          }
        }
      }
      assert.ok(count > 0 || UNHEARD.has(truth.what), 'somebody was seen');
    });
  }

  function truthFor(truth: RuleTruth, who: Who): string {
    const [kind = '', role = '', family = ''] = who.split(' ');
    return fatesOf(truth, role as Role).get(`${kind} ${family}`) ?? assert.fail();
  }

  /** Families whose SYNs in fragments from strangers left no record that they were dropped. */
  const past: readonly (readonly [string, readonly number[]])[] = [
    ['pflog/06-fragments.pcap', [4, 6]],
    ['openbsd/pflog/06b-fragments-reassemble-no.pcap', [4, 6]],
    ['openbsd/pflog/06c-fragments-reassemble-no-quick.pcap', [4, 6]],
    ['freebsd15/pflog/56-fragments-scrub.pcap', []],
    ['freebsd15/pflog/57-fragments-noscrub.pcap', [4]],
    ['freebsd15/pflog/58-fragments-set-reassemble.pcap', []],
    ['freebsd15/pflog/59-fragments-blocklog-all.pcap', []],
  ];
  for (const [name, families] of past) {
    it(`says which SYNs in fragments got past the rules: ${name}`, () => {
      const dropped = new Set([...seenIn(name).keys()].map((who) => Number(who.at(-1))));
      assert.deepEqual(
        [4, 6].filter((family) => !dropped.has(family)),
        families,
      );
      const truth = RECORDED_TRUTHS.find(({ recordings = [] }) => recordings.includes(name)) ?? assert.fail();
      const { real } = truth.setup;
      const told =
        judgeRules(truth.rules, truth.setup).find(({ id }) => id === 'rules-fragments')?.message ?? '';
      for (const address of real) {
        assert.equal(told.includes(formatAddress(address)), families.includes(familyOf(address)), told);
      }
    });
  }

  it('is among those that are compared, unless nothing is in it that could be', () => {
    const compared = new Set(RECORDED_TRUTHS.flatMap(({ recordings = [] }) => recordings));
    const left = PFLOG_RECORDINGS.filter((name) => !compared.has(name) && seenIn(name).size > 0);
    assert.deepEqual(left, []);
  });
});

/** Recordings in which no whole SYN to port 25 of the mail servers is logged, by a rule or at all. */
const UNHEARD = new Set([
  'pflog/09-udp-icmp.pcap',
  'pflog/20-out.pcap',
  'pflog/21-loopback.pcap',
  'the same, where mxallowd listens on pflog0',
  'openbsd/pflog/06b-fragments-reassemble-no.pcap',
  'openbsd/pflog/06c-fragments-reassemble-no-quick.pcap',
  'openbsd/pflog/09-udp-icmp.pcap',
  'openbsd/pflog/27-pflog1b.pcap',
]);
