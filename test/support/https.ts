/** Certificates by openssl, for real HTTPS servers. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate that has signed itself, and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @returns why there can be no certificates here, if so */
export function opensslUnavailable(): string | undefined {
  const { stdout } = spawnSync('openssl', ['version'], { encoding: 'utf8' });
  // older ones and LibreSSL do not copy extensions
  return /^OpenSSL [3-9]/.test(stdout ?? '') ? undefined : 'no OpenSSL 3 or newer (package openssl)';
}

/**
 * Makes a certificate.
 * @param subject - as `mta-sts.example.org`
 * @param names - of subjectAltName; none: it has no such extension
 * @param days - for which it is valid from now on; negative: it has been
 */
export function makeCertificate(subject: string, names: readonly string[], days = 2): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'mxallowd-cert-'));
  try {
    const run = (...args: string[]): void =>
      void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const alternatives = names.map((name) => `DNS:${name}`).join(',');
    const extension = names.length === 0 ? [] : ['-addext', `subjectAltName=${alternatives}`];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key'];
    run('req', '-new', ...key, '-out', 'request', '-subj', `/CN=${subject}`, ...extension);
    const kept = ['-copy_extensions', 'copy', '-out', 'cert'];
    run('x509', '-req', '-in', 'request', '-signkey', 'key', '-days', String(days), ...kept);
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    return { cert: read('cert'), key: read('key') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
