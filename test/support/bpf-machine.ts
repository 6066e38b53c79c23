import type { BpfInstruction } from '../../src/capture/bpf-filter.js';

/** An instruction, out of the array that the kernel gets (little endian). */
export function decodeProgram(bytes: Uint8Array): BpfInstruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jumpTrue: view.getUint8(index * 8 + 2),
    jumpFalse: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }));
}

/**
 * What the kernel asks of a program before it takes it (bpf(4), bpf_validate): known codes, jumps that stay inside
 * and go forward, a return at the end, at most 512 instructions.
 */
export function isValidProgram(program: readonly BpfInstruction[]): boolean {
  const isInside = (target: number): boolean => target < program.length;
  return (
    program.length > 0 &&
    program.length <= 512 &&
    (program.at(-1)?.code ?? 0) % 8 === 6 &&
    program.every(({ code, jumpTrue, jumpFalse, k }, at) => {
      if (code % 8 !== 5) return true;
      if (code === 0x05) return isInside(at + 1 + k);
      return isInside(at + 1 + jumpTrue) && isInside(at + 1 + jumpFalse);
    })
  );
}

/**
 * Runs a classic BPF program as the kernel does: registers of 32 bits, without sign; a load beyond the end returns 0.
 * Only what is used is there; another code is an error.
 * @param frame - all of it
 * @returns how many bytes are wanted
 */
export function runProgram(program: readonly BpfInstruction[], frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let a = 0;
  let x = 0;
  for (let at = 0; ; at++) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error('ran off the program');
    const { code, jumpTrue, jumpFalse, k } = instruction;
    const jump = (condition: boolean): number => (condition ? jumpTrue : jumpFalse);
    const relative = x + k;
    switch (code) {
      case 0x30: // ldb [k]
        if (k >= frame.length) return 0;
        a = view.getUint8(k);
        break;
      case 0x50: // ldb [x + k]
        if (relative >= frame.length) return 0;
        a = view.getUint8(relative);
        break;
      case 0x48: // ldh [x + k]
        if (relative + 2 > frame.length) return 0;
        a = view.getUint16(relative);
        break;
      case 0x80: // ld len
        a = frame.length;
        break;
      case 0x04: // add #k
        a = (a + k) >>> 0;
        break;
      case 0x0c: // add x
        a = (a + x) >>> 0;
        break;
      case 0x1c: // sub x
        a = (a - x) >>> 0;
        break;
      case 0x54: // and #k
        a = (a & k) >>> 0;
        break;
      case 0x64: // lsh #k
        a = (a << k) >>> 0;
        break;
      case 0x07: // tax
        x = a;
        break;
      case 0x87: // txa
        a = x;
        break;
      case 0x05: // ja k
        at += k;
        break;
      case 0x15: // jeq #k
        at += jump(a === k);
        break;
      case 0x35: // jge #k
        at += jump(a >= k);
        break;
      case 0x45: // jset #k
        at += jump((a & k) !== 0);
        break;
      case 0x2d: // jgt x
        at += jump(a > x);
        break;
      case 0x06: // ret #k
        return k;
      default:
        throw new Error(`code ${code.toString(16)} at ${at}`);
    }
  }
}
