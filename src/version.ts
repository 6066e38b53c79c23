// Which version this is, and where its package lies.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, from wherever this file was compiled to. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (folder !== dirname(folder)) {
    if (versionIn(folder) !== undefined) return folder;
    folder = dirname(folder);
  }
  return folder;
}

/** The version in package.json. */
export function version(): string {
  return versionIn(packageFolder()) ?? 'unknown';
}

function versionIn(folder: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name?: string;
      version?: string;
    };
    return manifest.name === 'mxallowd' ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}
