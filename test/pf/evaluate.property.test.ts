import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { judgePacket, judgeReassembly, type Outcome } from '../../src/pf/evaluate.js';
import type { Packet, Scene } from '../../src/pf/match.js';
import { parseRules } from '../../src/pf/parse-rules.js';
import { judgeRules } from '../../src/pf/rules.js';
import { address } from '../support/observations.js';
import { FREEBSD_RULES, OPENBSD_RULES, SETUP } from '../support/printed-rules.js';

const SYN: Packet = { kind: 'syn', destination: address('192.0.2.4'), port: 25, listed: false };
const SCENE: Scene = { table: 'mx-white', arrival: 'em0', interfaces: undefined };

/** A rule, or an anchor with rules; `when`: always matches, never, or nobody knows. */
interface Node {
  readonly action: 'pass' | 'block drop' | 'anchor';
  readonly quick: boolean;
  readonly when: 'always' | 'never' | 'doubt';
  readonly inside: readonly Node[];
}

function nodes(depth: number): fc.Arbitrary<Node[]> {
  return fc.array(
    fc.record({
      action: fc.constantFrom('pass', 'block drop', 'anchor'),
      quick: fc.boolean(),
      when: fc.constantFrom('always', 'never', 'doubt'),
      inside: depth === 0 ? fc.constant([]) : nodes(depth - 1),
    }),
    { maxLength: depth === 2 ? 5 : 3 },
  );
}

/** Writes rules as pfctl prints them; what is in doubt is decided by a function, or left open. */
function print(all: readonly Node[], decide?: () => boolean, at = ''): string {
  return all
    .map(({ action, quick, when, inside }, index) => {
      const known = when === 'doubt' && decide !== undefined ? (decide() ? 'always' : 'never') : when;
      const condition = { always: 'in all', never: 'out all', doubt: 'in all tagged X' }[known];
      const [direction = '', ...rest] = condition.split(' ');
      const name = `${at}${index}`;
      const head = [action, direction, ...(quick ? ['quick'] : []), ...rest, `label "${name}"`].join(' ');
      return action === 'anchor' ? `${head} {\n${print(inside, decide, `${name}.`)}}\n` : `${head}\n`;
    })
    .join('');
}

/** The label of the rule that decides. */
function nameOf({ rule }: Outcome): string {
  return /label "([^"]*)"/.exec(rule?.text ?? '')?.[1] ?? 'default';
}

function countDoubts(all: readonly Node[]): number {
  return all.reduce((sum, { when, inside }) => sum + (when === 'doubt' ? 1 : 0) + countDoubts(inside), 0);
}

describe('judgePacket, for any rules', () => {
  it('has among what is possible whatever comes out once the doubts are gone', () => {
    fc.assert(
      fc.property(
        nodes(2),
        fc.array(fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), { minLength: 8, maxLength: 8 }),
        (all, coins) => {
          const verdict = judgePacket(parseRules(print(all)), SYN, SCENE);
          const possible = verdict.possible.map(nameOf);
          assert.ok(possible.includes(nameOf(verdict.likely)));
          for (const attempt of coins) {
            const left = [...attempt];
            const text = print(all, () => left.pop() ?? false);
            const decided = judgePacket(parseRules(text), SYN, SCENE);
            assert.equal(decided.possible.length, 1, text);
            assert.ok(
              possible.includes(nameOf(decided.likely)),
              `${text}: ${nameOf(decided.likely)} in ${possible.join()}`,
            );
          }
          const none = judgePacket(parseRules(print(all, () => false)), SYN, SCENE);
          assert.equal(nameOf(verdict.likely), nameOf(none.likely));
          if (countDoubts(all) === 0) assert.deepEqual(verdict.doubts, []);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('judgeRules, for any text', () => {
  const words = [...new Set(`${OPENBSD_RULES} ${FREEBSD_RULES}`.split(/\s+/))];
  const word = fc.constantFrom(
    ...words,
    '\n',
    '\n',
    '{',
    '}',
    '!',
    '"',
    '(',
    ')',
    'anchor',
    '<',
    'port',
    '\x1b[2J',
    'é',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 60 }).map((all) => all.join(' ')),
  );

  it('says something that is safe to print, and never throws', () => {
    fc.assert(
      fc.property(text, fc.constantFrom('openbsd', 'freebsd', undefined), (rules, os) => {
        const findings = judgeRules(rules, { ...SETUP, os });
        assert.ok(findings.length > 0);
        for (const { message, advice } of findings)
          assert.match(`${message}${advice ?? ''}`, /^[\x20-\x7e]+$/);
        judgeReassembly(parseRules(rules), SYN, SCENE);
      }),
      { numRuns: 500 },
    );
  });
});
