// Fetches a domain's MTA-STS policy by HTTPS, as a sender does (RFC 8461 section 3.3).
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { escapeText } from '../packet/escape.js';
import { systemWords } from '../words.js';
import { type FetchedPolicy, LONGEST_POLICY, POLICY_PATH } from './mta-sts.js';

/** Where the policy is, and how long it may take. */
export interface PolicyRequest {
  /** of the policy's host, as `mta-sts.example.org`: the certificate must be for it */
  readonly name: string;
  /** where it is; tried in turn until one can be reached */
  readonly addresses: readonly string[];
  /** until an address is given up that neither answers nor refuses */
  readonly connectMs: number;
  /** until all of it is given up */
  readonly totalMs: number;
  /** 443 unless told */
  readonly port?: number;
  /** certificates in PEM that are trusted instead of those that Node knows */
  readonly trusted?: string;
}

/** Asks for the policy. Follows no redirection, takes no certificate that is not valid. Never rejects, never hangs. */
export async function fetchPolicy(wanted: PolicyRequest): Promise<FetchedPolicy> {
  const signal = AbortSignal.timeout(wanted.totalMs);
  let last: FetchedPolicy = { kind: 'unreached', why: 'it has no address' };
  for (const address of wanted.addresses) {
    const { outcome, isConnected } = await fetchFrom(address, wanted, signal);
    if (isConnected || signal.aborted) return outcome;
    last = outcome;
  }
  return last;
}

interface Attempt {
  readonly outcome: FetchedPolicy;
  /** whether there was a TCP connection: then no other address is tried */
  readonly isConnected: boolean;
}

function fetchFrom(address: string, wanted: PolicyRequest, signal: AbortSignal): Promise<Attempt> {
  const { name, port = 443, connectMs, totalMs, trusted } = wanted;
  return new Promise((resolve) => {
    let isConnected = false;
    const asked = request({
      host: address,
      port,
      servername: name,
      path: POLICY_PATH,
      headers: { host: name, accept: 'text/plain' },
      agent: false,
      signal,
      checkServerIdentity: checkName,
      ...(trusted === undefined ? {} : { ca: trusted }),
    });
    const end = (outcome: FetchedPolicy): void => {
      clearTimeout(timer);
      resolve({ outcome, isConnected });
      asked.destroy();
    };
    const fail = (error: unknown): void => {
      if (!signal.aborted) end(isConnected ? broken(error) : unconnected(address, error));
      else if (!isConnected) end(silent(address));
      else end({ kind: 'wrong', why: `it has not come within ${totalMs / 1000} s` });
    };
    const timer = setTimeout(() => end(silent(address)), connectMs);
    asked.once('socket', (socket) => {
      socket.once('connect', () => {
        isConnected = true;
        clearTimeout(timer);
      });
    });
    asked.once('response', (response) => void readResponse(response).then(end, fail));
    asked.on('error', fail);
    asked.end();
  });
}

function silent(address: string): FetchedPolicy {
  return { kind: 'unreached', why: `${address} does not answer` };
}

function unconnected(address: string, error: unknown): FetchedPolicy {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return { kind: 'wrong', why: `${address} refuses connections` };
  if (code === 'ETIMEDOUT') return silent(address);
  return { kind: 'unreached', why: `${address}: ${escapeText(systemWords(error), 200)}` };
}

/** Codes of OpenSSL and Node for certificates, as `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`. */
const CERTIFICATE = /CERT|ISSUER|SIGNATURE|ALTNAME/;

function broken(error: unknown): FetchedPolicy {
  const { code = '' } = error as NodeJS.ErrnoException;
  const why = escapeText(systemWords(error), 200);
  return { kind: 'wrong', why: CERTIFICATE.test(code) ? `its certificate is not valid: ${why}` : why };
}

/** Only the names of subjectAltName count (RFC 8461 section 3.3): Node would take the subject where there are none. */
function checkName(name: string, certificate: PeerCertificate): Error | undefined {
  if (certificate.subjectaltname === undefined) {
    return Object.assign(new Error('it has no subjectAltName'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  }
  return checkServerIdentity(name, certificate);
}

/** @throws Error when the connection breaks */
async function readResponse(response: IncomingMessage): Promise<FetchedPolicy> {
  const { statusCode = 0, headers } = response;
  if (statusCode >= 300 && statusCode < 400) {
    const where = headers.location === undefined ? '' : ` to ${escapeText(headers.location, 200)}`;
    return { kind: 'wrong', why: `redirects${where}, which senders do not follow` };
  }
  if (statusCode !== 200) return { kind: 'wrong', why: `answers with status ${statusCode}, not 200` };
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LONGEST_POLICY) return { kind: 'wrong', why: `is longer than ${LONGEST_POLICY} bytes` };
    pieces.push(piece);
  }
  const [mediaType = ''] = (headers['content-type'] ?? '').split(';');
  return {
    kind: 'answer',
    text: Buffer.concat(pieces).toString('utf8'),
    mediaType: mediaType.trim().toLowerCase(),
  };
}
