import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { BPF_SYSTEMS, type BpfSystem, findBpfSystem } from '../../src/capture/bpf-systems.js';
import { fixturePath } from '../support/recordings.js';

function systemOf(platform: NodeJS.Platform, architecture: string): BpfSystem {
  const system = findBpfSystem(platform, architecture);
  assert.ok(system !== undefined);
  return system;
}

/** The request numbers in hexadecimal. */
function numbers(system: BpfSystem): Record<string, string> {
  return Object.fromEntries(
    Object.entries(system.requests).map(([name, value]) => [name, hex(value as number)]),
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

describe('what is known of FreeBSD/amd64', () => {
  for (const name of ['immediate.txt', 'buffered.txt']) {
    const notes = readFileSync(fixturePath(`bpf/${name}`), 'latin1');
    const system = systemOf('freebsd', 'x64');

    it(`is what a program printed there: request numbers (${name})`, () => {
      const recorded = [...notes.matchAll(/(BIOC\w+) ([0-9a-f]{8})/g)].map(([, request, value]) => [
        request,
        value,
      ]);
      assert.equal(recorded.length, 10);
      assert.deepEqual(numbers(system), Object.fromEntries(recorded));
    });

    it(`is what a program printed there: struct bpf_hdr (${name})`, () => {
      const { seconds, captureLength, originalLength, headerLength } = system.layout;
      assert.ok(
        notes.includes(
          `off: tstamp ${seconds.offset} caplen ${captureLength} datalen ${originalLength} hdrlen ${headerLength}`,
        ),
      );
    });
  }
});

describe('what is known of OpenBSD 7.8 and FreeBSD 15.1 (amd64)', () => {
  for (const [platform, folder] of [
    ['openbsd', 'openbsd/bpf'],
    ['freebsd', 'freebsd15/bpf'],
  ] as const) {
    const system = systemOf(platform, 'x64');
    const notes = readFileSync(fixturePath(`${folder}/immediate.txt`), 'latin1');

    it(`is what a program printed there: request numbers (${platform})`, () => {
      const known = numbers(system);
      const recorded = [...notes.matchAll(/(BIOC\w+) (?:0x)?([0-9a-f]{8})\b/g)]
        .map(([, request = '', value = '']) => [request, value] as const)
        .filter(([request]) => request in known);
      assert.equal(recorded.length, 10);
      assert.deepEqual(Object.fromEntries(recorded), known);
    });

    it(`is what a program printed there: struct bpf_hdr (${platform})`, () => {
      const { seconds, captureLength, originalLength, headerLength, alignment } = system.layout;
      const fields = [captureLength, originalLength, headerLength];
      const offsets = /caplen[ @](\d+) datalen[ @](\d+) hdrlen[ @](\d+)/.exec(notes)?.slice(1);
      assert.deepEqual(offsets?.map(Number), fields);
      assert.equal(seconds.offset, 0);
      assert.equal(Number(/BPF_ALIGNMENT (\d+)/.exec(notes)?.[1]), alignment);
    });
  }
});

describe('request numbers that were computed', () => {
  it('of OpenBSD differ from those of FreeBSD in BIOCLOCK only', () => {
    const openbsd = numbers(systemOf('openbsd', 'x64'));
    const freebsd = numbers(systemOf('freebsd', 'x64'));
    assert.equal(openbsd.BIOCLOCK, '20004276');
    assert.equal(freebsd.BIOCLOCK, '2000427a');
    assert.deepEqual({ ...openbsd, BIOCLOCK: '' }, { ...freebsd, BIOCLOCK: '' });
    // printed by a program compiled with the headers of 7.8
    assert.equal(openbsd.BIOCIMMEDIATE, '80044270');
  });

  it('are the same on all 64-bit machines', () => {
    for (const platform of ['openbsd', 'freebsd'] as const) {
      for (const architecture of ['arm64', 'riscv64', 'ppc64']) {
        assert.equal(systemOf(platform, architecture), systemOf(platform, 'x64'));
      }
    }
  });

  it('of i386 have the sizes of a pointer of 4 bytes, and of its struct timeval', () => {
    const openbsd = numbers(systemOf('openbsd', 'ia32'));
    assert.equal(openbsd.BIOCSETF, '80084267');
    assert.equal(openbsd.BIOCSRTIMEOUT, '800c426d');
    assert.equal(openbsd.BIOCSETIF, '8020426c');
    const freebsd = numbers(systemOf('freebsd', 'ia32'));
    assert.equal(freebsd.BIOCSETF, '80084267');
    assert.equal(freebsd.BIOCSRTIMEOUT, '8008426d');
    assert.equal(freebsd.BIOCLOCK, '2000427a');
  });
});

describe('a system', () => {
  it('that is not known is not guessed', () => {
    const unknown = [
      ['linux', 'x64'],
      ['netbsd', 'x64'],
      ['darwin', 'arm64'],
      ['freebsd', 'arm'],
      ['openbsd', 'arm'],
      ['openbsd', 'mips64el'],
    ] as const;
    for (const [platform, architecture] of unknown) {
      assert.equal(findBpfSystem(platform, architecture), undefined, `${platform} on ${architecture}`);
    }
  });

  it('opens its device for reading, without waiting, and not for its children', () => {
    assert.equal(systemOf('openbsd', 'x64').openFlags, 0x10004);
    assert.equal(systemOf('freebsd', 'x64').openFlags, 0x100004);
  });

  it('has a struct timeval that holds both of its numbers', () => {
    for (const { abi } of BPF_SYSTEMS) assert.ok(abi.timeval >= abi.seconds + abi.pointer);
  });
});
