// Shapes of JSON values, and checks of them. Pure.
import { printable } from '../packet/escape.js';

/** Where a value is not what it should be. */
export class Mismatch {
  constructor(
    /** as `table.entries`; empty: the value itself */
    readonly where: string,
    readonly expected: string,
  ) {}

  /** The same, seen from the value around it. */
  inside(key: string): Mismatch {
    return new Mismatch(this.where === '' ? key : `${key}.${this.where}`, this.expected);
  }
}

/** Reads a value that came as JSON: what it is, with nothing in it that a terminal would obey, or what is wrong. */
export type Shape<T> = (value: unknown) => T | Mismatch;

/** A shape for each field; one that may be missing is read as undefined. */
export type Fields<T> = { readonly [K in keyof T]-?: Shape<T[K]> };

/** Any number that JSON has. */
export const number: Shape<number> = (value) =>
  typeof value === 'number' && Number.isFinite(value) ? value : new Mismatch('', 'a number');

/** True or false. */
export const bool: Shape<boolean> = (value) =>
  typeof value === 'boolean' ? value : new Mismatch('', 'true or false');

/** A text of one line; control characters and what lies beyond ASCII are escaped. */
export const text: Shape<string> = (value) =>
  typeof value === 'string' ? printable(value) : new Mismatch('', 'a text');

/** One of the keys of a table. */
export function keyOf<K extends string>(table: Readonly<Record<K, unknown>>): Shape<K> {
  return (value) =>
    typeof value === 'string' && Object.hasOwn(table, value)
      ? (value as K)
      : new Mismatch('', `one of ${Object.keys(table).join(', ')}`);
}

/** What may be missing. */
export function maybe<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value) => (value === undefined || value === null ? undefined : shape(value));
}

/** A list of things of one shape. */
export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return new Mismatch('', 'a list');
    const items: T[] = [];
    for (const [index, item] of value.entries()) {
      const read = shape(item);
      if (read instanceof Mismatch) return read.inside(String(index));
      items.push(read);
    }
    return items;
  };
}

/** An object with known fields; others are left out. */
export function object<T>(fields: Fields<T>): Shape<T> {
  return (value) => {
    if (!isObject(value)) return new Mismatch('', 'an object');
    const read: Record<string, unknown> = {};
    for (const [key, shape] of Object.entries<Shape<unknown>>(fields)) {
      const field = shape(value[key]);
      if (field instanceof Mismatch) return field.inside(key);
      if (field !== undefined) read[key] = field;
    }
    return read as T;
  };
}

/** An object with any fields, all of one shape. */
export function record<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value) => {
    if (!isObject(value)) return new Mismatch('', 'an object');
    const read: [string, T][] = [];
    for (const [key, item] of Object.entries(value)) {
      const field = shape(item);
      if (field instanceof Mismatch) return field.inside(printable(key));
      read.push([printable(key), field]);
    }
    return Object.fromEntries(read);
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
