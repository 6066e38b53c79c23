// Numbers and layouts of /dev/bpf on each system, as a table.
import type { BpfLayout } from './bpf-buffer.js';

/** What a request (ioctl(2)) carries: nothing, or an argument that goes in, comes out, or both (sys/ioccom.h). */
const Carries = { NOTHING: 0x2000_0000, OUT: 0x4000_0000, IN: 0x8000_0000, BOTH: 0xc000_0000 } as const;

/** IOCPARM_MASK (sys/ioccom.h): 13 bits of size. */
const SIZE_MASK = 0x1fff;
const GROUP = 'B'.charCodeAt(0);

/** _IO, _IOR, _IOW, _IOWR('B', number, size) of sys/ioccom.h, the same on both systems. */
function requestNumber(carries: number, number: number, size = 0): number {
  return carries + (size & SIZE_MASK) * 0x1_0000 + GROUP * 0x100 + number;
}

/** The requests that are used (net/bpf.h). */
export interface BpfRequests {
  readonly BIOCVERSION: number;
  readonly BIOCSBLEN: number;
  readonly BIOCGBLEN: number;
  readonly BIOCSETIF: number;
  readonly BIOCGDLT: number;
  readonly BIOCSETF: number;
  readonly BIOCSRTIMEOUT: number;
  readonly BIOCIMMEDIATE: number;
  readonly BIOCGSTATS: number;
  readonly BIOCLOCK: number;
}

/** What differs between kinds of machine: sizes in bytes. */
export interface BpfAbi {
  /** of a pointer, and of a long; struct bpf_program is an unsigned int and a pointer at this offset */
  readonly pointer: 4 | 8;
  /** struct timeval: tv_sec, and tv_usec (a long) behind it */
  readonly timeval: number;
  readonly seconds: 4 | 8;
}

/** unsigned int; struct ifreq (net/if.h: a name of 16 bytes and a union of 16); struct bpf_stat, struct bpf_version (net/bpf.h). */
const UINT = 4;
const IFREQ = 32;
const BPF_STAT = 8;
const BPF_VERSION = 4;

/** @param lock - the number of BIOCLOCK, the one that differs: OpenBSD's 122 is BIOCSDLT */
function requests({ pointer, timeval }: BpfAbi, lock: 118 | 122): BpfRequests {
  return {
    BIOCVERSION: requestNumber(Carries.OUT, 113, BPF_VERSION),
    BIOCSBLEN: requestNumber(Carries.BOTH, 102, UINT),
    BIOCGBLEN: requestNumber(Carries.OUT, 102, UINT),
    BIOCSETIF: requestNumber(Carries.IN, 108, IFREQ),
    BIOCGDLT: requestNumber(Carries.OUT, 106, UINT),
    BIOCSETF: requestNumber(Carries.IN, 103, 2 * pointer),
    BIOCSRTIMEOUT: requestNumber(Carries.IN, 109, timeval),
    BIOCIMMEDIATE: requestNumber(Carries.IN, 112, UINT),
    BIOCGSTATS: requestNumber(Carries.OUT, 111, BPF_STAT),
    BIOCLOCK: requestNumber(Carries.NOTHING, lock),
  };
}

/** What must be known of a system to read its /dev/bpf. */
export interface BpfSystem {
  readonly platform: 'openbsd' | 'freebsd';
  /** process.arch */
  readonly architectures: readonly string[];
  /** tried in this order while they do not exist */
  readonly devices: readonly string[];
  /** O_RDONLY | O_NONBLOCK | O_CLOEXEC (sys/fcntl.h) */
  readonly openFlags: number;
  readonly abi: BpfAbi;
  readonly requests: BpfRequests;
  readonly layout: BpfLayout;
}

/** sys/fcntl.h of both. */
const O_NONBLOCK = 0x4;

/**
 * OpenBSD's struct bpf_hdr has a time of its own, of two 32-bit numbers, on all machines. 28 bytes with padding on
 * amd64 (seen on 7.8); its fields take 18.
 */
const OPENBSD_LAYOUT: BpfLayout = {
  fieldBytes: 18,
  seconds: { offset: 0, size: 4 },
  microseconds: { offset: 4, size: 4 },
  captureLength: 8,
  originalLength: 12,
  headerLength: 16,
  alignment: 4,
};

/** FreeBSD's begins with a struct timeval: 32 bytes with padding (seen on 10.4/amd64 and 15.1/amd64); alignment is sizeof(long). */
const FREEBSD_64_LAYOUT: BpfLayout = {
  fieldBytes: 26,
  seconds: { offset: 0, size: 8 },
  microseconds: { offset: 8, size: 8 },
  captureLength: 16,
  originalLength: 20,
  headerLength: 24,
  alignment: 8,
};

/** i386 is the one machine where FreeBSD's time_t has 32 bits; from the header, not seen on one. */
const FREEBSD_I386_LAYOUT: BpfLayout = OPENBSD_LAYOUT;

const LP64: BpfAbi = { pointer: 8, timeval: 16, seconds: 8 };
/** OpenBSD's time_t has 64 bits everywhere; on i386 they are aligned to 4. */
const OPENBSD_I386: BpfAbi = { pointer: 4, timeval: 12, seconds: 8 };
const FREEBSD_I386: BpfAbi = { pointer: 4, timeval: 8, seconds: 4 };

/** 64-bit machines with Node; their long and pointers have 64 bits, so all sizes are the same. */
const ARCHITECTURES_64 = ['x64', 'arm64', 'riscv64', 'ppc64'];

const OPENBSD = {
  platform: 'openbsd',
  devices: ['/dev/bpf', '/dev/bpf0'],
  openFlags: O_NONBLOCK | 0x1_0000,
  layout: OPENBSD_LAYOUT,
} as const;

const FREEBSD = {
  platform: 'freebsd',
  devices: ['/dev/bpf'],
  openFlags: O_NONBLOCK | 0x10_0000,
} as const;

/**
 * The systems that are known. Request numbers are computed as the headers do it; those of amd64 have been seen
 * (recorded on FreeBSD 10.4 and 15.1, OpenBSD 7.8). 32-bit ARM is left out: koffi does not come for it.
 */
export const BPF_SYSTEMS: readonly BpfSystem[] = [
  { ...OPENBSD, architectures: ARCHITECTURES_64, abi: LP64, requests: requests(LP64, 118) },
  { ...OPENBSD, architectures: ['ia32'], abi: OPENBSD_I386, requests: requests(OPENBSD_I386, 118) },
  {
    ...FREEBSD,
    architectures: ARCHITECTURES_64,
    abi: LP64,
    requests: requests(LP64, 122),
    layout: FREEBSD_64_LAYOUT,
  },
  {
    ...FREEBSD,
    architectures: ['ia32'],
    abi: FREEBSD_I386,
    requests: requests(FREEBSD_I386, 122),
    layout: FREEBSD_I386_LAYOUT,
  },
];

/**
 * What is known of a system.
 * @param architecture - process.arch
 * @returns undefined when it has no /dev/bpf that we know
 */
export function findBpfSystem(platform: NodeJS.Platform, architecture: string): BpfSystem | undefined {
  return BPF_SYSTEMS.find(
    (system) => system.platform === platform && system.architectures.includes(architecture),
  );
}
