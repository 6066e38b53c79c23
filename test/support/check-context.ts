/** What probes know, of a machine that is made up. */
import type { CheckContext } from '../../src/check/probe.js';
import type { Machine } from '../../src/check/machine.js';
import { type Given, resolveConfig } from '../../src/config/config.js';

/** What is asked for on a made-up command line. */
export type GivenValues = Readonly<Partial<Record<Given['key'], string>>>;

/** A context for probes: addresses 192.0.2.3 and 192.0.2.4 unless told otherwise. */
export function checkContext(
  values: GivenValues,
  machine: Partial<Machine> = {},
  more: Partial<CheckContext> = {},
): CheckContext {
  const given = { fakeMailserver: '192.0.2.3', realMailserver: '192.0.2.4', ...values };
  const platform = machine.platform ?? 'openbsd';
  const result = resolveConfig(
    Object.entries(given).map(([key, text]) => ({
      key: key as Given['key'],
      text,
      where: '',
      origin: 'command line',
    })),
    [],
    platform,
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return {
    config: result.config,
    configPath: undefined,
    domains: [],
    machine: {
      platform,
      architecture: 'x64',
      release: platform === 'freebsd' ? '15.1-RELEASE' : '7.8',
      isRoot: true,
      searchPath: '',
      interfaces: undefined,
      addresses: new Map(),
      forwards: { 4: false, 6: false },
      unit: undefined,
      ...machine,
    },
    pfConf: '/nonexistent/pf.conf',
    times: { childMs: 60_000, connectMs: 10_000, greetingMs: 10_000, policyMs: 60_000 },
    ...more,
  };
}
