import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findTcpdump } from '../../src/capture/tcpdump.js';
import type { ProbeAnswer, ProbeCase, ProbeRequest } from '../support/select-probe.js';

const PROBE = fileURLToPath(new URL('../support/select-probe.js', import.meta.url));
const TCPDUMP = '/usr/sbin/tcpdump';
const PLATFORMS = ['openbsd', 'freebsd', 'linux', 'netbsd', 'darwin'] as const;

const NEEDS_TCPDUMP =
  'capture "tcpdump" needs tcpdump (part of OpenBSD and FreeBSD; elsewhere the package tcpdump), ' +
  'or its path in --tcpdump';
const needsPackage = (name: string): string =>
  `capture "${name}" needs the npm package ${name} (npm install ${name}; it is built with libpcap's headers and a ` +
  'C++ compiler, and does not build on OpenBSD)';

/** What selectSource answers where these packages and tcpdumps are there, as text. */
function select(
  packages: readonly string[],
  tcpdumps: readonly string[],
  cases: readonly (Partial<ProbeCase> & { readonly platform: NodeJS.Platform })[],
): string[] {
  const request: ProbeRequest = {
    packages,
    tcpdumps,
    cases: cases.map((one) => ({ capture: 'auto', tcpdumpPath: undefined, ...one })),
  };
  const out = execFileSync(process.execPath, ['--no-warnings', PROBE, JSON.stringify(request)], {
    encoding: 'utf8',
  });
  const answers = JSON.parse(out) as ProbeAnswer[];
  return answers.map((answer) =>
    'error' in answer ? `${answer.kind}: ${answer.error}` : answer.description,
  );
}

const everyPlatform = PLATFORMS.map((platform) => ({ platform }));

describe('capture "auto"', () => {
  it('takes pcap where that is tried and loads, and elsewhere tcpdump', () => {
    assert.deepEqual(select(['pcap', 'cap'], [TCPDUMP], everyPlatform), [
      `${TCPDUMP} on pflog0`,
      'pcap on pflog0',
      'pcap on pflog0',
      `${TCPDUMP} on pflog0`,
      `${TCPDUMP} on pflog0`,
    ]);
  });

  it('takes cap on Linux only, where pcap does not load', () => {
    assert.deepEqual(select(['cap'], [TCPDUMP], everyPlatform), [
      `${TCPDUMP} on pflog0`,
      `${TCPDUMP} on pflog0`,
      'cap on pflog0',
      `${TCPDUMP} on pflog0`,
      `${TCPDUMP} on pflog0`,
    ]);
  });

  it('takes tcpdump where no package loads', () => {
    assert.deepEqual(
      select([], [TCPDUMP], everyPlatform),
      PLATFORMS.map(() => `${TCPDUMP} on pflog0`),
    );
  });

  it('takes a tcpdump that is named before everything else', () => {
    const cases = PLATFORMS.map((platform) => ({ platform, tcpdumpPath: '/opt/tcpdump' }));
    assert.deepEqual(
      select(['pcap', 'cap'], [TCPDUMP], cases),
      PLATFORMS.map(() => '/opt/tcpdump on pflog0'),
    );
  });

  it('says everything that is missing where nothing is there', () => {
    const none = 'unavailable: no capture source is available: ';
    assert.deepEqual(select([], [], everyPlatform), [
      none + NEEDS_TCPDUMP,
      `${none}${needsPackage('pcap')}; ${NEEDS_TCPDUMP}`,
      `${none}${needsPackage('pcap')}; ${needsPackage('cap')}; ${NEEDS_TCPDUMP}`,
      none + NEEDS_TCPDUMP,
      none + NEEDS_TCPDUMP,
    ]);
  });
});

describe('a capture that is asked for by name', () => {
  const names = ['tcpdump', 'pcap', 'cap'] as const;
  const cases = names.map((capture) => ({ capture, platform: 'freebsd' as const }));

  it('is taken where it is there', () => {
    assert.deepEqual(select(['pcap', 'cap'], [TCPDUMP], cases), [
      `${TCPDUMP} on pflog0`,
      'pcap on pflog0',
      'cap on pflog0',
    ]);
  });

  it('is unavailable where it is not, and nothing else is taken', () => {
    assert.deepEqual(select([], [], cases), [
      `unavailable: ${NEEDS_TCPDUMP}`,
      `unavailable: ${needsPackage('pcap')}`,
      `unavailable: ${needsPackage('cap')}`,
    ]);
    assert.deepEqual(select(['cap'], [TCPDUMP], cases.slice(1)), [
      `unavailable: ${needsPackage('pcap')}`,
      'cap on pflog0',
    ]);
  });
});

describe('tcpdump without a path', () => {
  it('is looked for in four places, in order', () => {
    const places = ['/usr/sbin/tcpdump', '/usr/bin/tcpdump', '/usr/local/sbin/tcpdump', '/sbin/tcpdump'];
    for (let first = 0; first < places.length; first++) {
      const there = places.slice(first);
      const cases = [{ capture: 'tcpdump', platform: 'linux' }] as const;
      assert.deepEqual(select([], [...there].reverse(), cases), [`${there[0]} on pflog0`]);
    }
  });

  it('is found here where it can be run', (t) => {
    const path = findTcpdump();
    if (path === undefined) t.skip('tcpdump is not installed');
    else assert.match(path, /^\/(usr\/)?(local\/)?s?bin\/tcpdump$/);
  });
});
