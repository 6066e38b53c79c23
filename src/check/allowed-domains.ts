// Probe: whether DNS names networks of the domains that are allowed.
import type { Config } from '../config/config.js';
import { firstOf, passedWords, refusedWords } from '../engine/domain-messages.js';
import { type HostName, hostName } from '../names/name.js';
import { ownNetworks, withinBounds } from '../names/network-bounds.js';
import { spfNetworks, type SpfNetworks } from '../names/spf-networks.js';
import { timedLookup, WireClient } from '../names/wire.js';
import { type Finding, finding } from '../pf/finding.js';
import { amount } from '../words.js';
import type { Probe } from './probe.js';

const TRIES = 2;

/** What `allow-domain` comes to now: networks, or why there are none. */
export const allowedDomainsProbe: Probe = {
  name: 'allow-domain',
  applies: ({ config }) => config.allowDomain.length > 0,
  run: async ({ config }) => {
    const { allowDomain, dnsServer, dnsTimeout } = config;
    const client = new WireClient({ servers: dnsServer, timeoutMs: dnsTimeout * 1000, tries: TRIES });
    try {
      const found = await Promise.all(
        allowDomain.map(async (text) => {
          const domain = hostName(text);
          if (domain === undefined) return [];
          const result = await spfNetworks((type, name) => timedLookup(client, type, name), domain);
          return judge(domain, result, config);
        }),
      );
      return found.flat();
    } finally {
      client.close();
    }
  },
};

function judge(domain: HostName, result: SpfNetworks, config: Config): Finding[] {
  const who = `allow-domain ${domain}:`;
  if (result.kind === 'none') {
    const advice = 'take the line out, or write the name that mail comes by';
    return [finding('warning', 'allow-domain-none', `${who} ${result.why}: nobody is let in by it`, advice)];
  }
  const { admitted, refused } = withinBounds(result.networks, ownNetworks(config, []));
  const networks = amount(admitted.length, 'network is', 'networks are');
  const everybody = result.passed.filter(({ why }) => why === 'all');
  const wrong = [...everybody.map(passedWords), ...refused.map(refusedWords)];
  const findings: Finding[] = [];
  const [silent] = result.unanswered;
  if (silent !== undefined) {
    const message = `${who} DNS does not answer (${silent}); without that, ${networks} let in`;
    findings.push(finding('warning', 'allow-domain-unanswered', message, 'see dns-server'));
  }
  if (wrong.length > 0) {
    const advice = `mxallowd spf ${domain}`;
    findings.push(
      finding('warning', 'allow-domain-passed-over', `${who} passed over: ${firstOf(wrong)}`, advice),
    );
  }
  return findings.length > 0 ? findings : [finding('ok', 'allow-domain', `${who} ${networks} let in`)];
}
