// Loads a package that may be missing.
import { CaptureError } from './source.js';

/**
 * Loads an optional npm package that needs libpcap.
 * @param load - imports it
 * @throws CaptureError that says what to install
 */
export async function loadOptional<T>(name: string, load: () => Promise<{ default: T }>): Promise<T> {
  try {
    return (await load()).default;
  } catch {
    throw new CaptureError(
      `capture "${name}" needs the npm package ${name} (npm install ${name}; it is built with libpcap's headers ` +
        'and a C++ compiler, and does not build on OpenBSD)',
      'unavailable',
    );
  }
}
