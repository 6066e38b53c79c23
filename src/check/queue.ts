// Probe: NFQUEUE, and whether rules feed it.
import { loadLibc } from '../native/libc.js';
import { type QueueRow, readQueues } from '../netfilter/proc.js';
import type { QueueRange } from '../netfilter/queues.js';
import { type Family, familyOf } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import type { CheckContext, Probe } from './probe.js';
import { judgeMarked, readNetfilter } from './netfilter-reading.js';
import { queueRule, type QueueRule } from './queue-rules.js';

/** The queue, the rule that fills it, and what it is read with (Linux). */
export const queueProbe: Probe = {
  name: 'queue',
  applies: ({ config }) => config.queueNum !== undefined,
  run: async (context) => {
    const { queueNum } = context.config;
    if (queueNum === undefined) return [];
    const libc = await loadLibc();
    const native = libc.ok
      ? finding('ok', 'queue-native', 'queue: koffi is there')
      : finding('error', 'queue-native', `queue: ${libc.message}`);
    const read = await readNetfilter(context);
    const rules = read?.flatMap(queueRule);
    const fitting = rules?.filter((rule) => isOurs(rule, queueNum, context.config.port));
    const rows = readQueues();
    return [
      native,
      ...judgeRules(context, queueNum, rules, fitting),
      ...(read === undefined ? [] : await judgeMarked(context, read, fitting ?? [])),
      ...judgeStrays(context, queueNum, rows, rules ?? []),
      ...judgeOwner(queueNum, rows, fitting ?? []),
    ];
  },
};

function isOurs({ first, last, ports }: QueueRule, queue: QueueRange, port: number): boolean {
  return first >= queue.first && last <= queue.last && (ports.length === 0 || ports.includes(String(port)));
}

function judgeRules(
  { config, machine }: CheckContext,
  queue: QueueRange,
  all: readonly QueueRule[] | undefined,
  fitting: readonly QueueRule[] = [],
): Finding[] {
  if (all === undefined) {
    const [message, advice] = machine.isRoot
      ? ['queue: rules cannot be read, neither by nft nor by iptables', 'install nftables']
      : ['queue: the rules are not checked, for only root can read them', 'run it as root'];
    return [finding('warning', 'queue-rule', message, advice)];
  }
  const wanted = new Set([...config.fakeMailserver, ...config.realMailserver].map(familyOf));
  const missing = [...wanted].filter((family) => !fitting.some(({ families }) => families.includes(family)));
  const findings = missing.map((family) =>
    finding(
      'error',
      'queue-rule',
      `queue: no rule sends IPv${family} connections to port ${config.port} to queue ${rangeText(queue)}` +
        other(all, family),
      'nft -f examples/nftables.conf, or iptables (docs/nfqueue.md)',
    ),
  );
  for (const rule of fitting) {
    const shown = `queue: "${escapeText(rule.text, 200)}"`;
    findings.push(
      rule.bypass
        ? finding('note', 'queue-bypass', `${shown}: while mxallowd does not run, everybody is let in`)
        : finding('ok', 'queue-rule', shown),
    );
  }
  return findings;
}

function other(all: readonly QueueRule[], family: Family): string {
  const [rule] = all.filter(({ families }) => families.includes(family));
  return rule === undefined ? '' : `; there is "${escapeText(rule.text, 200)}"`;
}

/** Rules for mail that lead to a queue which is not ours and nobody else's either. */
function judgeStrays(
  { config: { port } }: CheckContext,
  queue: QueueRange,
  rows: readonly QueueRow[] | undefined,
  rules: readonly QueueRule[],
): Finding[] {
  return rules.flatMap((rule) => {
    const { first, last, bypass, ports, text } = rule;
    if (isOurs(rule, queue, port) || !ports.includes(String(port))) return [];
    const isAnswered = (number: number): boolean =>
      (number >= queue.first && number <= queue.last) || rows?.some((row) => row.queue === number) === true;
    const numbers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const stray = numbers.filter((number) => !isAnswered(number));
    if (stray.length === 0) return [];
    const fate = bypass ? 'let in unjudged' : 'dropped';
    const message =
      `queue: "${escapeText(text, 200)}": nobody answers queue ${stray.join(', ')} ` +
      `(queue-num is ${rangeText(queue)}): these connections are ${fate}`;
    const advice = `queue-num ${Math.min(queue.first, first)}-${Math.max(queue.last, last)} in mxallowd.conf, and a restart`;
    return [finding('error', 'queue-stray', message, advice)];
  });
}

function judgeOwner(
  queue: QueueRange,
  rows: readonly QueueRow[] | undefined,
  rules: readonly QueueRule[],
): Finding[] {
  if (rows === undefined) {
    return [
      finding('note', 'queue-owner', 'queue: whether it is answered is not known, the kernel does not tell'),
    ];
  }
  const numbers = Array.from({ length: queue.last - queue.first + 1 }, (_, i) => queue.first + i);
  const alone = numbers.filter((number) => !rows.some((row) => row.queue === number));
  if (alone.length === 0)
    return [finding('ok', 'queue-owner', `queue: a program answers queue ${rangeText(queue)}`)];
  const who = `queue: no program answers queue ${alone.join(', ')}`;
  if (rules.length === 0) return [finding('note', 'queue-owner', who)];
  const fate = rules.every(({ bypass }) => bypass) ? 'let in' : 'dropped';
  return [finding('warning', 'queue-owner', `${who}: new connections are ${fate}`, 'start mxallowd')];
}

function rangeText({ first, last }: QueueRange): string {
  return first === last ? String(first) : `${first} to ${last}`;
}
