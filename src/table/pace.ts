// How many addresses one deletion takes, learned from how long calls take. Pure.
import { MAX_BATCH } from './room.js';

/** Addresses in a deletion at the least, and as long as nothing is known. */
export const LEAST_DELETED = 1000;
/** A call delays what comes meanwhile by so much at the most, unless each call takes longer anyway. */
const PATIENCE_MS = 250;
/** What an observation still counts for after the next one. */
const MEMORY = 0.5;
/** Calls whose sizes differ by less than this part tell nothing of what size costs. */
const LEAST_SPREAD = 0.1;

/** What calls take: so long whatever they do, and so long for each address. */
interface Cost {
  readonly callMs: number;
  readonly addressMs: number;
}

/**
 * Chooses the size of deletions. Nobody waits for one, but an addition may come while it runs: so it is as large as
 * what one must wait for anyway allows. Where a call takes two seconds whatever it does, ten thousand addresses cost no
 * more than one; where each address costs, a deletion stays short.
 */
export class Pace {
  // sums of the observations, each weighted by its age: a line is laid through them
  private weight = 0;
  private counts = 0;
  private times = 0;
  private squares = 0;
  private products = 0;
  /** how many addresses calls have had lately, at the most */
  private tried = 0;

  /** Notes how long a call took, for so many addresses. */
  note(count: number, tookMs: number): void {
    this.tried = Math.max(this.tried * MEMORY, count);
    this.weight = this.weight * MEMORY + 1;
    this.counts = this.counts * MEMORY + count;
    this.times = this.times * MEMORY + tookMs;
    this.squares = this.squares * MEMORY + count * count;
    this.products = this.products * MEMORY + count * tookMs;
  }

  /**
   * How many addresses the next deletion takes at the most.
   * @param isAwaited - somebody waits for an addition that comes next
   */
  deletions(isAwaited: boolean): number {
    // no more than double of what has been tried: what is learned from small calls may not hold for large ones
    return Math.max(LEAST_DELETED, Math.min(MAX_BATCH, 2 * this.tried, this.affordable(isAwaited)));
  }

  private affordable(isAwaited: boolean): number {
    const cost = this.cost();
    if (cost === undefined) return isAwaited ? LEAST_DELETED : this.trial();
    const allowedMs = isAwaited ? cost.callMs : Math.max(cost.callMs, PATIENCE_MS);
    return cost.addressMs === 0 ? MAX_BATCH : Math.floor(allowedMs / cost.addressMs);
  }

  /** Another size than the calls had lately: that tells what size costs. */
  private trial(): number {
    const count = this.counts / this.weight;
    const isSlow = this.times / this.weight > PATIENCE_MS;
    return isSlow && count >= 2 * LEAST_DELETED ? Math.floor(count / 2) : MAX_BATCH;
  }

  /** Undefined: calls were all of one size, or there were none. */
  private cost(): Cost | undefined {
    const count = this.counts / this.weight;
    const time = this.times / this.weight;
    const variance = this.squares / this.weight - count * count;
    if (!(Math.sqrt(Math.max(variance, 0)) > LEAST_SPREAD * count)) return undefined;
    const covariance = this.products / this.weight - count * time;
    const addressMs = Math.max(covariance / variance, 0);
    return { callMs: Math.max(time - addressMs * count, 0), addressMs };
  }
}
