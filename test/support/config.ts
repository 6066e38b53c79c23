/** Configurations as the command line would give them. */
import { type Config, type Given, resolveConfig } from '../../src/config/config.js';
import type { OptionKey } from '../../src/config/options.js';

/** A configuration with these options, for a system with pf unless another one is named; throws what is wrong with it. */
export function configOf(
  options: Partial<Readonly<Record<OptionKey, readonly string[]>>>,
  platform: NodeJS.Platform = 'openbsd',
): Config {
  const given = Object.entries(options).flatMap(([key, texts]) =>
    texts.map((text): Given => ({ key: key as OptionKey, text, where: '', origin: 'command line' })),
  );
  const result = resolveConfig(given, [], platform);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}
