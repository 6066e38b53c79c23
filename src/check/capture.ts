// Probe: whether packets can be captured.
import { accessSync, constants } from 'node:fs';
import { selectSource } from '../capture/select.js';
import { CaptureError } from '../capture/source.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import type { CheckContext, Probe } from './probe.js';
import { systemWords } from '../words.js';

/** The interface that pf logs to. */
export const pflogProbe: Probe = {
  name: 'pflog',
  applies: ({ config }) => config.firewall === 'pf',
  run: (context) => Promise.resolve([judgePflog(context)]),
};

function judgePflog({ config: { pflogInterface: name }, machine }: CheckContext): Finding {
  if (machine.interfaces === undefined)
    return finding('note', 'pflog', `${name}: not known, for ifconfig does not tell`);
  const state = machine.interfaces.get(name);
  const service = machine.platform === 'freebsd' ? '; for good: sysrc pflog_enable=YES' : '';
  if (state === undefined) {
    return finding(
      'error',
      'pflog',
      `${name}: is not there: what pf logs is lost`,
      `ifconfig ${name} create up${service}`,
    );
  }
  if (!state.flags.includes('UP'))
    return finding('note', 'pflog', `${name}: is down; pf logs to it all the same`, `ifconfig ${name} up`);
  return finding('ok', 'pflog', `${name}: is there, and up`);
}

/** How frames get from pf's log to us: which source would be taken, without opening it. */
export const captureProbe: Probe = {
  name: 'capture',
  applies: ({ config }) => config.firewall !== 'queue',
  run: async ({ config, machine }) => {
    try {
      const source = await selectSource({
        capture: config.capture,
        interfaceName: config.pflogInterface,
        filter: config.pcapFilter,
        tcpdumpPath: config.tcpdump,
        nflogGroup: config.firewall === 'nft' ? config.nflogGroup : undefined,
        platform: machine.platform,
        architecture: machine.architecture,
        release: machine.release,
        wallClockMs: () => 0,
      });
      return [
        config.tcpdump !== undefined && !isExecutable(config.tcpdump)
          ? finding('error', 'capture', `capture: ${escapeText(config.tcpdump, 200)} cannot be run`)
          : finding('ok', 'capture', `capture: ${escapeText(source.description, 200)}`),
        ...judgeDevice(machine.platform),
      ];
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      return [finding('error', 'capture', `capture: ${escapeText(error.message, 400)}`)];
    }
  },
};

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function judgeDevice(platform: NodeJS.Platform): Finding[] {
  if (platform !== 'openbsd' && platform !== 'freebsd') return [];
  try {
    accessSync('/dev/bpf', constants.R_OK);
    return [];
  } catch (error) {
    const message = `capture: /dev/bpf cannot be read: ${systemWords(error)}`;
    return [finding('warning', 'capture-device', message, 'run it as root')];
  }
}
