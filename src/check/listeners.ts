// Probe: who listens on the fake and on the real MX.
import { type Address, formatAddress } from '../packet/address.js';
import { escapeText } from '../packet/escape.js';
import { type Finding, finding } from '../pf/finding.js';
import type { Probe } from './probe.js';
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
  run: ({ config, times }) =>
    Promise.all(
      config.realMailserver.map(async (address) => {
        return judgeReal(address, config.port, await tryConnect(formatAddress(address), config.port, times));
      }),
    ),
};

function judgeReal(address: Address, port: number, answer: TcpAnswer): Finding {
  const who = `real MX ${formatAddress(address)}`;
  switch (answer.kind) {
    case 'open':
      return judgeGreeting(who, answer.greeting);
    case 'refused':
      return finding(
        'error',
        'real-answers',
        `${who}: nothing listens on its port ${port}`,
        'start the mail server there',
      );
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

/** RFC 5321 section 4.3.2: 220 when it takes mail. */
function judgeGreeting(who: string, greeting: string): Finding {
  const shown = `"${escapeText(greeting, 60)}"`;
  if (/^220\b/.test(greeting)) return finding('ok', 'real-answers', `${who}: greets with ${shown}`);
  return greeting === ''
    ? finding('warning', 'real-answers', `${who}: something listens, but does not greet`)
    : finding('warning', 'real-answers', `${who}: greets with ${shown}, not with 220`);
}
