// Probe: whether the DNS allow list can be believed.
import { ALWAYS_LISTED, distrustReason, listName, NEVER_LISTED, readListAnswer } from '../names/dnswl.js';
import { type BoundedResolver, resolverOf } from '../names/resolver.js';
import { type Finding, finding, type Severity } from '../pf/finding.js';
import type { Probe } from './probe.js';

/** What the list says of the two addresses that tell whether it works (RFC 5782 section 5). */
export const dnswlProbe: Probe = {
  name: 'dnswl',
  applies: ({ config }) => config.dnswl !== undefined,
  run: async ({ config }) => {
    const resolver = resolverOf(config);
    try {
      return [await judge(resolver, config.dnswl ?? '')];
    } finally {
      resolver.close();
    }
  },
};

async function judge(resolver: BoundedResolver, zone: string): Promise<Finding> {
  const say = (severity: Severity, id: string, text: string, advice = ''): Finding =>
    finding(severity, id, `dnswl ${zone}: ${text}`, advice);
  const addresses = [NEVER_LISTED, ALWAYS_LISTED];
  const answers = await Promise.all(
    addresses.map(async (address) => {
      const answer = readListAnswer(await resolver.lookup('A', listName(address, zone)));
      return { answer, why: distrustReason(address, answer) };
    }),
  );
  const why = answers.find((one) => one.why !== undefined)?.why;
  if (why !== undefined) {
    const advice = 'use a resolver of your own (dns-server), and a list of whom to trust, not a block list';
    return say('warning', 'dnswl-wrong', `${why}; nobody is let in by it`, advice);
  }
  const failed = answers.find(({ answer }) => answer.kind === 'failed')?.answer;
  if (failed?.kind === 'failed') {
    const text = `DNS does not answer (${failed.code}), so nobody is let in by it`;
    return say('warning', 'dnswl-unanswered', text, 'see dns-server');
  }
  if (answers[1]?.answer.kind === 'listed') return say('ok', 'dnswl', 'answers as an allow list does');
  const text = 'does not have 127.0.0.2, which each list has for tests: is that its name?';
  return say('note', 'dnswl-empty', text);
}
