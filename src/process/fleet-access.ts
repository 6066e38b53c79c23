// What sharing with other gateways needs of this machine: the password, certificates, a name, and the package.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import type { OpenStore } from '../engine/sharing.js';
import { loadRedis, RedisStore } from '../fleet/redis.js';
import { Exit, StartError } from '../sysexits.js';
import { systemWords } from '../words.js';

/** A password, and a file of certificates, are not larger. */
const MOST_PASSWORD = 512;
const MOST_CA = 1 << 20;

/** Readable by everybody. */
const OTHERS = 0o007;

/**
 * Gets ready what only root may be able to read.
 * @returns undefined: nothing is to be shared
 * @throws StartError when something is missing
 */
export async function fleetAccess(config: Config, clock: Clock): Promise<OpenStore | undefined> {
  const { fleetUrl: url, fleetSite: site } = config;
  if (url === undefined) return undefined;
  const node = config.fleetNode ?? nodeName(hostname());
  const { fleetPasswordFile, fleetCa } = config;
  const password = fleetPasswordFile === undefined ? undefined : readPassword(fleetPasswordFile);
  const ca = fleetCa === undefined ? undefined : readCertificates(fleetCa);
  const Client = await loadRedis();
  if (Client === undefined) {
    throw new StartError('fleet-url needs the npm package ioredis: npm install ioredis', Exit.UNAVAILABLE);
  }
  return {
    node,
    nonce: randomBytes(6).toString('hex'),
    open: (linked, failed) =>
      new RedisStore(Client, { url, password, ca, site, node }, clock, linked, failed),
  };
}

/** A host's name as a node's: without what cannot be in a key. */
export function nodeName(host: string): string {
  const name = host.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 64);
  if (/[A-Za-z0-9]/.test(name)) return name;
  throw new StartError('fleet-node: this host has no name that could be used: give one', Exit.CONFIG);
}

/**
 * Reads the password: the first line of a file that not everybody may read.
 * @throws StartError when it cannot be used
 */
export function readPassword(path: string): string {
  const text = read(path, 'fleet-password-file', MOST_PASSWORD + 2);
  if ((statSync(path).mode & OTHERS) !== 0) {
    throw new StartError(`fleet-password-file: everybody may read ${path}: chmod o= ${path}`, Exit.CONFIG);
  }
  const [password = '', ...rest] = text.split(/\r?\n/);
  if (password === '' || rest.some((line) => line !== '')) {
    throw new StartError(`fleet-password-file: ${path} must have one line, the password`, Exit.CONFIG);
  }
  return password;
}

function readCertificates(path: string): string {
  const text = read(path, 'fleet-ca', MOST_CA);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new StartError(`fleet-ca: ${path} has no certificate in it (PEM)`, Exit.CONFIG);
}

function read(path: string, option: string, most: number): string {
  try {
    const text = readFileSync(path, 'latin1');
    if (text.length <= most) return text;
  } catch (error) {
    throw new StartError(`${option}: ${path}: ${systemWords(error)}`, Exit.CONFIG);
  }
  throw new StartError(`${option}: ${path} is larger than it can be (${most} bytes)`, Exit.CONFIG);
}
