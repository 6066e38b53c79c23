// Probe: the folders, files and settings that the daemon needs.
import { type Config, defaultValue } from '../config/config.js';
import { type Address, familyOf, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { findUser, userAdvice } from '../process/users.js';
import type { CheckContext, Probe } from './probe.js';

/** The configuration was read; here is what only both kinds of address together tell. */
export const configProbe: Probe = {
  name: 'configuration',
  run: ({ config, configPath }) => {
    const where = configPath === undefined ? 'the command line' : escapeText(configPath, 200);
    const fake = new Set(config.fakeMailserver.map(familyOf));
    const real = new Set(config.realMailserver.map(familyOf));
    const findings = [finding('ok', 'config', `configuration: ${where} is right`)];
    for (const family of [4, 6] as const) {
      if (fake.has(family) === real.has(family)) continue;
      const [has, lacks] = fake.has(family) ? ['fake', 'real'] : ['real', 'fake'];
      findings.push(
        finding(
          'warning',
          'config-families',
          `configuration: the ${has} MX has an IPv${family} address, the ${lacks} one has none: who tries the ` +
            'fake one by one family and the real one by the other is a stranger there',
          'give both the same families, in DNS, too',
        ),
      );
    }
    return Promise.resolve(findings);
  },
};

/** What only root sees of each firewall. */
const LOOKED_AT: Readonly<Record<Config['firewall'], string>> = {
  pf: 'pf, its rules and its log',
  nft: 'rules and sets',
  queue: 'rules and queues',
};

/** What cannot be seen without root is told by the probes that wanted to see it. */
export const privilegesProbe: Probe = {
  name: 'privileges',
  run: ({ machine, config }) => {
    if (machine.isRoot) return Promise.resolve([finding('ok', 'privileges', 'privileges: checked as root')]);
    const what = LOOKED_AT[config.firewall];
    const message = `privileges: not root, so ${what} can be looked at only as far as this user may`;
    return Promise.resolve([finding('note', 'privileges', message, 'run it as root to check everything')]);
  },
};

/** The user that the daemon becomes. */
export const userProbe: Probe = {
  name: 'user',
  run: ({ config, machine }) => {
    const name = config.user ?? defaultValue('user') ?? '';
    if (findUser(name) !== undefined)
      return Promise.resolve([finding('ok', 'user', `user: ${name} is there`)]);
    const { unit } = machine;
    if (unit?.isDynamic === true) {
      const made = `user: ${escapeText(unit.path, 200)} makes ${escapeText(unit.user ?? name, 40)}`;
      return Promise.resolve([finding('ok', 'user', `${made} for as long as it runs`)]);
    }
    const advice = userAdvice(machine.platform, name);
    const message = `user: there is no user ${name}`;
    return Promise.resolve([
      config.user === undefined
        ? finding('warning', 'user', `${message}, so root is not given up`, advice)
        : finding('error', 'user', `${message}, so mxallowd does not start`, advice),
    ]);
  },
};

/** Where the addresses are: on this machine, or behind it. */
export const addressesProbe: Probe = {
  name: 'addresses',
  run: ({ config, machine }) =>
    Promise.resolve([
      ...config.fakeMailserver.map((address) => whereIs('fake', address, machine)),
      ...config.realMailserver.map((address) => whereIs('real', address, machine)),
    ]),
};

function whereIs(role: string, address: Address, machine: CheckContext['machine']): Finding {
  const who = `${role} MX ${formatAddress(address)}`;
  const family = familyOf(address);
  const own = machine.addresses.get(address);
  if (own !== undefined) return finding('ok', 'address', `${who}: is on ${escapeText(own, 30)}`);
  const message = `${who}: is not an address of this machine`;
  if (machine.forwards[family] === false) {
    return finding(
      'warning',
      'address',
      `${message}, and IPv${family} is not forwarded: what is sent there does not come by here`,
      'give this machine the address, or switch forwarding on if it is the router',
    );
  }
  return finding('note', 'address', `${message}: right if this is the router, and it is routed through here`);
}
