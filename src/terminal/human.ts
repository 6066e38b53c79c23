// Numbers and times as people read them. Pure.
import { amount } from '../words.js';

/** A whole number with its thousands grouped: `1,234,567`. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 entry`, `2 entries`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return amount(value, one, many, grouped);
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS: readonly (readonly [seconds: number, unit: string, next: number, nextUnit: string])[] = [
  [DAY, 'd', HOUR, 'h'],
  [HOUR, 'h', MINUTE, 'm'],
  [MINUTE, 'm', 1, 's'],
];
/** From so many days on hours say nothing. */
const LONG_DAYS = 100;

/** Milliseconds in at most six characters, its two largest units: `45s`, `9m30s`, `1h`, `12d04h`, `366d`. */
export function duration(ms: number): string {
  const seconds = Math.round(Math.max(ms, 0) / 1000);
  const [size, unit, next, nextUnit] = UNITS.find(([from]) => seconds >= from) ?? [1, 's', 1, ''];
  const whole = Math.floor(seconds / size);
  const rest = Math.floor((seconds % size) / next);
  const isLong = unit === 'd' && whole >= LONG_DAYS;
  return `${whole}${unit}${rest === 0 || isLong ? '' : `${String(rest).padStart(2, '0')}${nextUnit}`}`;
}

/** How long ago: `now`, `2m05s ago`, `never`. */
export function ago(ms: number | undefined): string {
  if (ms === undefined) return 'never';
  return ms < 1000 ? 'now' : `${duration(ms)} ago`;
}

/** `2026-11-26 14:03:27`, in the time zone of this process. */
export function localTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return 'invalid';
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `14:03:27`, in the time zone of this process. */
export function timeOfDay(ms: number): string {
  return localTime(ms).slice(-8);
}
