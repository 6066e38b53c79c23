// Probe: the user that the daemon becomes.
import { lstatSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { defaultValue } from '../config/config.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { findGroup, findUser } from '../process/users.js';
import type { Probe } from './probe.js';
import type { ServiceUnit } from './unit.js';
import { systemWords } from '../words.js';

/** StateDirectory= of systemd/mxallowd.service. */
const UNIT_FOLDER = '/var/lib/mxallowd';

/** What the daemon keeps, and where it is asked. */
export const serviceProbe: Probe = {
  name: 'service',
  run: async ({ config, times, machine }) => [
    ...(config.stateFile === '' ? [] : [judgeFolder(config.stateFile, config.user, machine.unit)]),
    ...(config.controlGroup === undefined ? [] : judgeGroup(config.controlGroup)),
    ...(config.controlSocket === '' ? [] : [await judgeSocket(config.controlSocket, times.connectMs)]),
  ],
};

function judgeFolder(path: string, user: string | undefined, unit: ServiceUnit | undefined): Finding {
  const folder = dirname(path);
  const shown = escapeText(folder, 200);
  // a link of systemd's into /var/lib/private, where only root can look
  if (unit?.isDynamic === true && folder === UNIT_FOLDER) {
    const maker = escapeText(unit.path, 200);
    return finding('ok', 'state-folder', `state file: in ${shown}, which ${maker} makes and owns`);
  }
  const name = user ?? defaultValue('user') ?? '';
  let found: ReturnType<typeof lstatSync>;
  try {
    found = lstatSync(folder);
  } catch {
    return finding(
      'note',
      'state-folder',
      `state file: ${shown} is not there; it is made at the start, as root`,
    );
  }
  if (!found.isDirectory()) return finding('warning', 'state-folder', `state file: ${shown} is no folder`);
  const uid = findUser(name)?.uid;
  if (uid !== undefined && uid !== 0 && found.uid !== uid) {
    const message = `state file: ${shown} is not ${name}'s, so a restart may forget everything`;
    return finding('warning', 'state-folder', message, `chown -R ${name} ${shown}`);
  }
  let file: ReturnType<typeof lstatSync> | undefined;
  try {
    file = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const message = `state file: ${shown} cannot be looked into by this user: ${systemWords(error)}`;
    return finding('note', 'state-folder', message);
  }
  if (uid !== undefined && uid !== 0 && file !== undefined && file.uid !== uid) {
    const message = `state file: ${escapeText(path, 200)} is not ${name}'s, who cannot read it`;
    return finding('warning', 'state-folder', message, `chown ${name} ${escapeText(path, 200)}`);
  }
  return finding('ok', 'state-folder', `state file: in ${shown}`);
}

function judgeGroup(name: string): Finding[] {
  if (findGroup(name) !== undefined) return [];
  const message = `control-group: there is no group ${name}, so mxallowd does not start`;
  return [finding('error', 'control-group', message)];
}

function judgeSocket(path: string, withinMs: number): Promise<Finding> {
  const shown = escapeText(path, 200);
  return new Promise((resolve) => {
    const socket = connect({ path, timeout: withinMs });
    const end = (found: Finding): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(finding('ok', 'running', `mxallowd: runs, and answers on ${shown}`)));
    socket.once('timeout', () => end(finding('warning', 'running', `mxallowd: does not answer on ${shown}`)));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const isDenied = error.code === 'EACCES' || error.code === 'EPERM';
      const message = isDenied
        ? `mxallowd: only root and the control-group may ask on ${shown}`
        : 'mxallowd: does not run (or is being started again)';
      end(finding('note', 'running', message));
    });
  });
}
