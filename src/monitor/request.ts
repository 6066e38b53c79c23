// What the engine sends, as far as it has the shape of a request. Pure.
import { escapeText } from '../packet/escape.js';
import { type EngineRequest, MOST_PREFIXES } from './messages.js';

/** A message of the engine, or why it is none. */
export type ParsedMessage<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** Checks that something is a request of the engine: its shape, not yet what it asks for. */
export function parseEngineRequest(value: unknown): ParsedMessage<EngineRequest> {
  if (typeof value !== 'object' || value === null) return { ok: false, why: 'a message that is no object' };
  const { id, request, prefixes, seconds } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(id)) return { ok: false, why: 'a request without a number' };
  if (typeof request !== 'string') return { ok: false, why: 'a request that is no text' };
  const known = ['show', 'flush', 'count', 'limits', 'inspect', 'reload'].includes(request);
  if (known) return { ok: true, value: { id, request } as EngineRequest };
  if (request !== 'add' && request !== 'delete' && request !== 'grant') {
    return { ok: false, why: `an unknown request "${escapeText(request, 60)}"` };
  }
  const isList = Array.isArray(prefixes) && prefixes.every((prefix) => typeof prefix === 'string');
  if (!isList) return { ok: false, why: `${request} without a list of prefixes` };
  if ((prefixes.length < 1 && request !== 'grant') || prefixes.length > MOST_PREFIXES) {
    return {
      ok: false,
      why: `${request} of ${prefixes.length} prefixes, at most ${MOST_PREFIXES} are taken`,
    };
  }
  if (seconds === undefined)
    return { ok: true, value: { id, request, prefixes } as unknown as EngineRequest };
  const isTimed =
    request === 'add' &&
    Array.isArray(seconds) &&
    seconds.length === prefixes.length &&
    seconds.every((life) => Number.isSafeInteger(life) && life > 0);
  if (!isTimed) return { ok: false, why: `${request} with times that are none` };
  return { ok: true, value: { id, request, prefixes, seconds } as unknown as EngineRequest };
}
