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
const NEEDS_KOFFI =
  'capture "bpf" needs the npm package koffi (npm install koffi; it comes compiled for Linux, FreeBSD and OpenBSD)';
const onlyOnBsd = (platform: string): string =>
  `unavailable: capture "bpf" is for OpenBSD and FreeBSD; this is ${platform}`;
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
    cases: cases.map((one) => ({ capture: 'auto', architecture: 'x64', filter: 'port 25', ...one })),
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
  it('takes bpf on OpenBSD and FreeBSD, where koffi loads', () => {
    const packages = ['koffi', 'pcap', 'cap'];
    assert.deepEqual(select(packages, [TCPDUMP], everyPlatform), [
      'bpf on pflog0',
      'bpf on pflog0',
      'pcap on pflog0',
      `${TCPDUMP} on pflog0`,
      `${TCPDUMP} on pflog0`,
    ]);
  });

  it('takes what libpcap serves for a filter that bpf does not know, and on machines that it does not know', () => {
    const bsds = [{ platform: 'openbsd' }, { platform: 'freebsd' }] as const;
    const cases = [
      ...bsds.map((one) => ({ ...one, filter: 'port 25 and action block' })),
      ...bsds.map((one) => ({ ...one, architecture: 'arm' })),
      ...bsds.map((one) => ({ ...one, filter: 'port 2525' })),
    ];
    assert.deepEqual(select(['koffi', 'pcap'], [TCPDUMP], cases), [
      `${TCPDUMP} on pflog0`,
      'pcap on pflog0',
      `${TCPDUMP} on pflog0`,
      'pcap on pflog0',
      'bpf on pflog0',
      'bpf on pflog0',
    ]);
  });

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
      select(['koffi', 'pcap', 'cap'], [TCPDUMP], cases),
      PLATFORMS.map(() => '/opt/tcpdump on pflog0'),
    );
  });

  it('says everything that is missing where nothing is there', () => {
    const none = 'unavailable: no capture source is available: ';
    assert.deepEqual(select([], [], everyPlatform), [
      `${none}${NEEDS_KOFFI}; ${NEEDS_TCPDUMP}`,
      `${none}${NEEDS_KOFFI}; ${needsPackage('pcap')}; ${NEEDS_TCPDUMP}`,
      `${none}${needsPackage('pcap')}; ${needsPackage('cap')}; ${NEEDS_TCPDUMP}`,
      none + NEEDS_TCPDUMP,
      none + NEEDS_TCPDUMP,
    ]);
  });
});

describe('a capture that is asked for by name', () => {
  const names = ['bpf', 'tcpdump', 'pcap', 'cap'] as const;
  const cases = names.map((capture) => ({ capture, platform: 'freebsd' as const }));

  it('is taken where it is there', () => {
    assert.deepEqual(select(['koffi', 'pcap', 'cap'], [TCPDUMP], cases), [
      'bpf on pflog0',
      `${TCPDUMP} on pflog0`,
      'pcap on pflog0',
      'cap on pflog0',
    ]);
  });

  it('is unavailable where it is not, and nothing else is taken', () => {
    assert.deepEqual(select([], [], cases), [
      `unavailable: ${NEEDS_KOFFI}`,
      `unavailable: ${NEEDS_TCPDUMP}`,
      `unavailable: ${needsPackage('pcap')}`,
      `unavailable: ${needsPackage('cap')}`,
    ]);
    assert.deepEqual(select(['cap'], [TCPDUMP], cases.slice(2)), [
      `unavailable: ${needsPackage('pcap')}`,
      'cap on pflog0',
    ]);
  });
});

describe('bpf that is asked for by name', () => {
  const cases = (
    list: readonly {
      readonly platform: NodeJS.Platform;
      readonly filter?: string;
      readonly architecture?: string;
    }[],
  ): string[] =>
    select(
      ['koffi', 'pcap', 'cap'],
      [TCPDUMP],
      list.map((one) => ({ capture: 'bpf' as const, ...one })),
    );

  it('is not there on another system', () => {
    assert.deepEqual(cases([{ platform: 'linux' }, { platform: 'netbsd' }, { platform: 'darwin' }]), [
      onlyOnBsd('linux'),
      onlyOnBsd('netbsd'),
      onlyOnBsd('darwin'),
    ]);
  });

  it('says that it knows no other filter, and quotes it harmlessly', () => {
    assert.deepEqual(cases([{ platform: 'openbsd', filter: 'action block\x1b[2J' }]), [
      'unavailable: capture "bpf" knows no filter but "port N" (or "port N or port M"), not "action block\\x1b[2J": take tcpdump or pcap for it',
    ]);
  });

  it('says that it does not know a machine', () => {
    assert.deepEqual(cases([{ platform: 'freebsd', architecture: 'arm' }]), [
      'unavailable: capture "bpf" does not know freebsd on arm',
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
