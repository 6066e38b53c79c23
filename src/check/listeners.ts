// Probe: who listens on the fake and on the real MX.
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import { judgeOwnConnection, type Refusal } from '../pf/own-connection.js';
import { readPf } from './pf-reading.js';
import type { CheckContext, Probe } from './probe.js';
import { type TcpAnswer, tryConnect } from './tcp.js';

/** Nobody may answer on the fake MX, or the sender does not go on to the real one. */
export const fakeProbe: Probe = {
  name: 'fake MX',
  run: ({ config, times }) =>
    Promise.all(
      config.fakeMailserver.map(async (address) => {
        const answer = await tryConnect(formatAddress(address), config.port, { ...times, greetingMs: 0 });
        return judgeFake(address, config.port, answer);
      }),
    ),
};

function judgeFake(address: Address, port: number, answer: TcpAnswer): Finding {
  const who = `fake MX ${formatAddress(address)}`;
  switch (answer.kind) {
    case 'open':
      return finding(
        'error',
        'fake-listens',
        `${who}: something listens on its port ${port}, so senders deliver there and nobody is admitted`,
        'let the mail server listen on the real address only',
      );
    case 'refused':
      return finding('ok', 'fake-listens', `${who}: port ${port} refuses, as it should`);
    case 'silent':
      return finding(
        'note',
        'fake-listens',
        `${who}: no answer from port ${port}, from here: a sender that gets none either waits before it goes on`,
      );
    case 'unreachable':
      return finding('note', 'fake-listens', `${who}: cannot be reached from here: ${answer.why}`);
  }
}

/** Somebody must answer on the real MX. */
export const realProbe: Probe = {
  name: 'real MX',
  run: (context) => {
    const { config, times } = context;
    return Promise.all(
      config.realMailserver.map(async (address) => {
        const answer = await tryConnect(formatAddress(address), config.port, times);
        const refusal = answer.kind === 'refused' ? await refusedByPf(context, address) : undefined;
        return judgeReal(address, config.port, answer, refusal);
      }),
    );
  },
};

/** Whether a refusal is pf's; undefined: it cannot be asked. */
async function refusedByPf(context: CheckContext, address: Address): Promise<Refusal | undefined> {
  if (context.config.firewall !== 'pf') return { by: 'no', rule: '' };
  const reading = await readPf(context);
  if (!reading.ok) return undefined;
  const isOwn = context.machine.addresses.has(address);
  return judgeOwnConnection(reading.rules, address, isOwn, reading.setup);
}

function judgeReal(address: Address, port: number, answer: TcpAnswer, refusal: Refusal | undefined): Finding {
  const who = `real MX ${formatAddress(address)}`;
  switch (answer.kind) {
    case 'open':
      return judgeGreeting(who, answer.greeting);
    case 'refused':
      return judgeRefused(who, port, refusal);
    case 'silent':
      return finding(
        'note',
        'real-answers',
        `${who}: no answer from port ${port}; from here it may be filtered, as for any stranger`,
      );
    case 'unreachable':
      return finding('note', 'real-answers', `${who}: cannot be reached from here: ${answer.why}`);
  }
}

/** A refusal is of who is not there, or of pf, which refuses in his name (`block return`). */
function judgeRefused(who: string, port: number, refusal: Refusal | undefined): Finding {
  const start = 'start the mail server there';
  if (refusal?.by === 'no')
    return finding('error', 'real-answers', `${who}: nothing listens on its port ${port}`, start);
  const look = 'netstat -an, on the mail server, shows whether it listens';
  if (refusal?.by === 'yes') {
    const message = `${who}: pf refuses port ${port} to this machine, too, by ${refusal.rule}: who listens there is not seen`;
    return finding('note', 'real-answers', message, look);
  }
  const why = refusal === undefined ? 'pf, which cannot be asked, refuses' : `pf refuses, by ${refusal.rule}`;
  const message = `${who}: port ${port} refuses: nothing listens there, or ${why}`;
  return finding('warning', 'real-answers', message, look);
}

/** RFC 5321 section 4.3.2: 220 when it takes mail. */
function judgeGreeting(who: string, greeting: string): Finding {
  const shown = `"${escapeText(greeting, 60)}"`;
  if (/^220\b/.test(greeting)) return finding('ok', 'real-answers', `${who}: greets with ${shown}`);
  return greeting === ''
    ? finding('warning', 'real-answers', `${who}: something listens, but does not greet`)
    : finding('warning', 'real-answers', `${who}: greets with ${shown}, not with 220`);
}
