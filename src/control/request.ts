// A question on the control socket, checked by who answers. Pure.
import { MAX_SECONDS } from '../config/values.js';
import type { ControlRequest } from './protocol.js';

const PLAIN = new Set<string>(['status', 'list', 'stats', 'reload', 'watch']);
const WITH_ADDRESS = new Set<string>(['allow', 'forget', 'why']);
/** An IPv6 prefix has 43 characters at the most. */
const MOST_ADDRESS = 64;

/** A question, or why it is none. */
export type ParsedRequest =
  { readonly ok: true; readonly value: ControlRequest } | { readonly ok: false; readonly message: string };

/**
 * Reads a question. Fields that are not known are passed over.
 * @param text - a line, without its end
 */
export function parseRequest(text: string): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, message: 'the question is not JSON' };
  }
  if (typeof value !== 'object' || value === null)
    return { ok: false, message: 'the question is not an object' };
  const { command, address, forSeconds, sinceSeconds, all } = value as Record<string, unknown>;
  if (typeof command !== 'string') return { ok: false, message: 'the question has no command' };
  if (PLAIN.has(command)) return { ok: true, value: { command } as ControlRequest };
  if (command === 'refused') return parseRefused(sinceSeconds);
  if (!WITH_ADDRESS.has(command)) return { ok: false, message: 'the daemon does not know this command' };
  if (command === 'forget' && all === true) return { ok: true, value: { command, all } };
  if (typeof address !== 'string' || address.length > MOST_ADDRESS) {
    return { ok: false, message: `${command} needs an address` };
  }
  if (command !== 'allow' || forSeconds === undefined) {
    return { ok: true, value: { command, address } as ControlRequest };
  }
  if (!isTime(forSeconds)) return noTime('forSeconds');
  return { ok: true, value: { command: 'allow', address, forSeconds } };
}

function parseRefused(sinceSeconds: unknown): ParsedRequest {
  if (sinceSeconds === undefined) return { ok: true, value: { command: 'refused' } };
  if (!isTime(sinceSeconds)) return noTime('sinceSeconds');
  return { ok: true, value: { command: 'refused', sinceSeconds } };
}

function isTime(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_SECONDS;
}

function noTime(name: string): ParsedRequest {
  return { ok: false, message: `${name} is not a whole number from 1 to ${MAX_SECONDS}` };
}
