// Where the store of a fleet is: the value of fleet-url. Pure.
import { type Check, domainName } from './values.js';
import { parseAddress } from '../packet/address.js';

/** A host and its port. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Where the store of a fleet is. A password is never part of it. */
export interface FleetUrl {
  /** as given */
  readonly text: string;
  readonly isTls: boolean;
  /** `sentinel`: the places are sentinels, which know where the store is */
  readonly kind: 'host' | 'socket' | 'sentinel';
  /** one, or several sentinels; none of a socket */
  readonly places: readonly Place[];
  /** of a Unix socket */
  readonly path: string | undefined;
  /** the name by which sentinels know the store */
  readonly master: string | undefined;
  readonly user: string | undefined;
  readonly database: number;
}

const EXPECTED =
  'a place such as redis://127.0.0.1, rediss://USER@HOST:PORT/DATABASE, unix:///PATH or rediss+sentinel://HOST,HOST/NAME';

const WITH_PASSWORD = `${EXPECTED}; a password is not given here but in the file of fleet-password-file`;

const FORM = /^(redis|rediss|redis\+sentinel|rediss\+sentinel|unix):\/\/(?:([^@/]*)@)?([^@?]*)$/;
const DATABASE = /^\d{1,4}$/;
const USER = /^[A-Za-z0-9._-]{1,64}$/;
const MASTER = /^[A-Za-z0-9._-]{1,100}$/;
const PORTS = { host: 6379, sentinel: 26_379 } as const;

/** Reads a fleet-url. */
export const fleetUrl: Check<FleetUrl> = (text) => {
  // nothing of a text that may have a password is shown
  if (/:\/\/[^/]*@/.test(text) && /:\/\/[^@]*:[^@]*@/.test(text)) {
    return { ok: false, expected: WITH_PASSWORD, isSecret: true };
  }
  if (/[?&](?:password|username|user)=/i.test(text))
    return { ok: false, expected: WITH_PASSWORD, isSecret: true };
  const value = read(text);
  return value === undefined ? { ok: false, expected: EXPECTED } : { ok: true, value };
};

function read(text: string): FleetUrl | undefined {
  const [, scheme, user, rest = ''] = FORM.exec(text) ?? [];
  if (scheme === undefined || (user !== undefined && !USER.test(user))) return undefined;
  const common = { text, isTls: scheme.startsWith('rediss'), user };
  if (scheme === 'unix') {
    const isPath = /^\/[^\0-\x1f]+$/.test(rest);
    return isPath
      ? { ...common, kind: 'socket', places: [], path: rest, master: undefined, database: 0 }
      : undefined;
  }
  const kind = scheme.endsWith('sentinel') ? 'sentinel' : 'host';
  const [hosts = '', ...words] = rest.split('/');
  const master = kind === 'sentinel' ? words.shift() : undefined;
  const [database = ''] = words;
  if (words.length > 1 || (database !== '' && !DATABASE.test(database))) return undefined;
  if (kind === 'sentinel' && (master === undefined || !MASTER.test(master))) return undefined;
  const places = hosts.split(',').map((host) => readPlace(host, PORTS[kind]));
  if (kind === 'host' && places.length > 1) return undefined;
  const good = places.filter((place) => place !== undefined);
  if (good.length < places.length) return undefined;
  return { ...common, kind, places: good, path: undefined, master, database: Number(database) };
}

function readPlace(text: string, defaultPort: number): Place | undefined {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  const isName = host === 'localhost' || /^[a-z0-9-]{1,63}$/i.test(host) || domainName(host).ok;
  return parseAddress(host) !== undefined || (bracketed === undefined && isName) ? { host, port } : undefined;
}

/** Whether what is said to a place does not leave this machine. */
export function isLocal({ kind, places }: FleetUrl): boolean {
  return kind === 'socket' || places.every(({ host }) => /^127\.|^::1$|^localhost$/.test(host));
}
