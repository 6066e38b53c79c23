// Where this Node's program lies.
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Where systems keep node, when nobody says. */
const USUAL = '/usr/local/bin:/usr/bin';

/**
 * The absolute path of the node that runs us. process.execPath is what argv[0] said where the system does not tell
 * better (OpenBSD): a bare word then.
 */
export function nodePath(execPath: string = process.execPath, path = process.env['PATH'] ?? ''): string {
  if (isAbsolute(execPath)) return execPath;
  const found = `${path}:${USUAL}`
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, execPath))
    .find(isExecutable);
  return found ?? execPath;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
