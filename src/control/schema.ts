// Schemas of what is read from JSON: checked, and fit for a terminal.
import * as v from 'valibot';
import { printable } from '../packet/escape.js';

/** What is read from JSON, and comes out fit for a terminal. */
export type Schema<T> = v.GenericSchema<unknown, T>;

/** A number. */
export const number: Schema<number> = v.pipe(v.number('a number'), v.finite('a number'));
/** True or false. */
export const bool: Schema<boolean> = v.boolean('true or false');
/** A text of one line; control characters and what lies beyond ASCII are escaped. */
export const text: Schema<string> = v.pipe(v.string('a text'), v.transform(printable));
/** Numbers by names. */
export const numbers: Schema<Readonly<Record<string, number>>> = v.record(
  v.pipe(v.string(), v.transform(printable)),
  number,
  'an object',
);

/** One of some words. */
export function oneOf<const K extends string>(...words: readonly K[]): Schema<K> {
  return v.picklist(words, `one of ${words.join(', ')}`);
}

/** What may be missing: the daemon writes undefined, and JSON leaves it out. */
export function maybe<T>(schema: Schema<T>): Schema<T | undefined> {
  return v.optional(schema);
}

/** What the daemon may be too old to tell: it was started before an upgrade. */
export function unlessOld<T>(schema: Schema<T>, before: T): Schema<T> {
  return v.optional(schema as v.GenericSchema<T, T>, before as never) as Schema<unknown> as Schema<T>;
}

/** A list of these. */
export function list<T>(schema: Schema<T>): Schema<readonly T[]> {
  return v.array(schema, 'a list');
}

/** Fields that are not known are left out. */
export function object<F extends Readonly<Record<string, Schema<unknown>>>>(fields: F): Schema<Read<F>> {
  return v.object(fields, 'an object') as Schema<unknown> as Schema<Read<F>>;
}
type Read<F> = { readonly [K in keyof F]: F[K] extends Schema<infer T> ? T : never };

/** What an answer says, or where and why it makes no sense: `table.room is not a number`. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/**
 * Checks a part of an answer.
 * @param name - of the part, for the problem
 */
export function check<T>(schema: Schema<T>, value: unknown, name: string): Checked<T> {
  const read = v.safeParse(schema, value, { abortEarly: true });
  if (read.success) return { ok: true, value: read.output };
  const [issue] = read.issues;
  const place = [name, ...(issue.path ?? []).map(({ key }) => String(key))].join('.');
  const isMissing = issue.path?.at(-1)?.origin === 'key' && issue.input === undefined;
  return {
    ok: false,
    problem: printable(isMissing ? `${place} is missing` : `${place} is not ${issue.message}`),
  };
}
