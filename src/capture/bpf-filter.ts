// The filter program that the kernel runs for "port N", or "port N or port M". Pure.
import { SNAP_LENGTH } from './tcpdump.js';

/** An instruction (net/bpf.h struct bpf_insn); jumps count from the next one. */
export interface BpfInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** What the kernel runs over each frame; it returns how many bytes of it are wanted. */
export type BpfProgram = readonly BpfInstruction[];

/** Codes of instructions (net/bpf.h: class | size or operation | mode or operand). A is the accumulator. */
const Op = {
  /** A = byte, 16 bits at k */
  LOAD_BYTE: 0x30,
  /** A = byte, 16 bits at X + k */
  LOAD_BYTE_X: 0x50,
  LOAD_HALF_X: 0x48,
  /** A = length of the frame */
  LOAD_LENGTH: 0x80,
  ADD: 0x04,
  AND: 0x54,
  SHIFT_LEFT: 0x64,
  ADD_X: 0x0c,
  SUBTRACT_X: 0x1c,
  /** X = A, A = X */
  TAX: 0x07,
  TXA: 0x87,
  JUMP: 0x05,
  JUMP_EQUAL: 0x15,
  JUMP_GREATER_EQUAL: 0x35,
  JUMP_BITS: 0x45,
  JUMP_GREATER_X: 0x2d,
  RETURN: 0x06,
} as const;

/** A place in a program. */
type Label = 'accept' | 'reject' | 'ipv4' | 'ipv6-tcp' | 'tcp';

/** An instruction with names for where it jumps to; a jump without one goes to the next instruction. */
interface Step {
  readonly label?: Label;
  readonly op: number;
  readonly k?: number;
  readonly then?: Label;
  readonly else?: Label;
}

/** packet/pflog: no header has been shorter. */
const MIN_PFLOG_LENGTH = 45;
/** As packet/ip has them: RFC 791 section 3.1, RFC 8200 section 3; the ports of TCP: RFC 9293 section 3.1. */
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const PORTS = 4;
const IPV4_FRAGMENT_OFFSET = 0x1fff;
/** Ports in an expression: jumps reach over 255 instructions at the most. */
const MOST_PORTS = 8;
/** IANA's number of the protocol. */
const TCP = 6;
/** The headers that packet/ip looks behind: hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6. */
const IPV6_EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140];

/** A load beyond the frame's end ends the program with "reject", so lengths are checked first: X + `bytes` <= length. */
function requireBytes(bytes: number): Step[] {
  return [
    { op: Op.LOAD_LENGTH },
    { op: Op.JUMP_GREATER_X, else: 'accept' },
    { op: Op.SUBTRACT_X },
    { op: Op.JUMP_GREATER_EQUAL, k: bytes, else: 'accept' },
  ];
}

function portSteps(ports: readonly number[], snapLength: number): Step[] {
  return [
    // X = length of the pflog header, its first byte rounded up to a multiple of 4: 61, 69 or 100 by system
    { op: Op.LOAD_BYTE, k: 0 },
    { op: Op.JUMP_GREATER_EQUAL, k: MIN_PFLOG_LENGTH, else: 'accept' },
    { op: Op.ADD, k: 3 },
    { op: Op.AND, k: 0x1fc },
    { op: Op.TAX },
    ...requireBytes(IPV4_HEADER + PORTS),
    { op: Op.LOAD_BYTE_X, k: 0 },
    { op: Op.AND, k: 0xf0 },
    { op: Op.JUMP_EQUAL, k: 0x40, then: 'ipv4' },
    { op: Op.JUMP_EQUAL, k: 0x60, else: 'accept' },

    { op: Op.LOAD_BYTE_X, k: 6 },
    { op: Op.JUMP_EQUAL, k: TCP, then: 'ipv6-tcp' },
    ...IPV6_EXTENSIONS.map((k): Step => ({ op: Op.JUMP_EQUAL, k, then: 'accept' })),
    { op: Op.JUMP, then: 'reject' },
    { label: 'ipv6-tcp', op: Op.TXA },
    { op: Op.ADD, k: IPV6_HEADER },
    { op: Op.JUMP, then: 'tcp' },

    { label: 'ipv4', op: Op.LOAD_BYTE_X, k: 9 },
    { op: Op.JUMP_EQUAL, k: TCP, else: 'reject' },
    { op: Op.LOAD_HALF_X, k: 6 },
    { op: Op.JUMP_BITS, k: IPV4_FRAGMENT_OFFSET, then: 'accept' },
    { op: Op.LOAD_BYTE_X, k: 0 },
    { op: Op.AND, k: 0x0f },
    { op: Op.SHIFT_LEFT, k: 2 },
    { op: Op.JUMP_GREATER_EQUAL, k: IPV4_HEADER, else: 'accept' },
    { op: Op.ADD_X },

    { label: 'tcp', op: Op.TAX },
    ...requireBytes(PORTS),
    { op: Op.LOAD_HALF_X, k: 0 },
    ...ports.map((k): Step => ({ op: Op.JUMP_EQUAL, k, then: 'accept' })),
    { op: Op.LOAD_HALF_X, k: 2 },
    ...ports.map((k): Step => ({ op: Op.JUMP_EQUAL, k, then: 'accept' })),
    { label: 'reject', op: Op.RETURN, k: 0 },
    { label: 'accept', op: Op.RETURN, k: snapLength },
  ];
}

/** Puts numbers in the place of names. All jumps go forward. */
function assemble(steps: readonly Step[]): BpfProgram {
  return steps.map(({ op, k, then, else: otherwise }, index) => {
    const distance = (label: Label | undefined): number =>
      label === undefined ? 0 : steps.findIndex((step) => step.label === label) - index - 1;
    if (op === Op.JUMP) return { code: op, jumpTrue: 0, jumpFalse: 0, k: distance(then) };
    return { code: op, jumpTrue: distance(then), jumpFalse: distance(otherwise), k: k ?? 0 };
  });
}

/**
 * The program for a filter expression of pcap-filter(7). Known are none, and `port N`, also several of them joined by
 * `or`, which lets through TCP from or to such a port, and everything that it cannot be sure about: fragments, IPv6 extension headers, headers that
 * are cut or make no sense. It finds the packet behind a pflog header of any length.
 * @returns undefined for another expression
 */
export function compileBpfFilter(expression: string): BpfProgram | undefined {
  if (expression.trim() === '') return assemble([{ op: Op.RETURN, k: SNAP_LENGTH }]);
  const words = expression.trim().split(/\s+or\s+/, MOST_PORTS + 1);
  const ports = words.map((word) => Number(/^port\s+(\d{1,5})$/.exec(word)?.[1] ?? Number.NaN));
  const isKnown = ports.length <= MOST_PORTS && ports.every((port) => port <= 0xffff);
  return isKnown ? assemble(portSteps(ports, SNAP_LENGTH)) : undefined;
}

/** Bytes of a struct bpf_insn (net/bpf.h): code u16, jt u8, jf u8, k u32. */
const INSTRUCTION = 8;

/** The array of struct bpf_insn that BIOCSETF takes, in the machine's byte order. */
export function encodeBpfProgram(program: BpfProgram, littleEndian: boolean): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(program.length * INSTRUCTION));
  program.forEach(({ code, jumpTrue, jumpFalse, k }, index) => {
    const at = index * INSTRUCTION;
    view.setUint16(at, code, littleEndian);
    view.setUint8(at + 2, jumpTrue);
    view.setUint8(at + 3, jumpFalse);
    view.setUint32(at + 4, k, littleEndian);
  });
  return new Uint8Array(view.buffer);
}
