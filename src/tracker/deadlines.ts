// Deadlines in a heap, renewed lazily.

/** Something with a deadline. The two last fields belong to {@link Deadlines}. */
export interface Timed {
  /** monotonic milliseconds; may be moved to a later time at any moment, never to an earlier one */
  deadlineMs: number;
  /** the time by which the heap orders: never later than deadlineMs */
  queuedMs: number;
  /** place in the heap, -1 when not in it */
  heapIndex: number;
}

/**
 * A binary heap of deadlines. Adding, removing and taking the first cost at most log n steps; moving a deadline to
 * a later time costs nothing until the old one comes up.
 */
export class Deadlines<T extends Timed> {
  private readonly heap: T[] = [];

  /** number of items */
  get size(): number {
    return this.heap.length;
  }

  /** Adds an item by its `deadlineMs`. */
  add(item: T): void {
    item.queuedMs = item.deadlineMs;
    item.heapIndex = this.heap.length;
    this.heap.push(item);
    this.rise(item);
  }

  /** Removes an item, wherever it is; nothing happens when it is not in the heap. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (index < 0) return;
    item.heapIndex = -1;
    const last = this.heap.pop();
    if (last === undefined || last === item) return;
    this.heap[index] = last;
    last.heapIndex = index;
    this.rise(last);
    this.sink(last);
  }

  /** The earliest time at which something may be due, undefined when there is nothing. */
  nextMs(): number | undefined {
    return this.heap[0]?.queuedMs;
  }

  /** Takes out one item whose deadline is not after `nowMs`, the earliest first. */
  takeDue(nowMs: number): T | undefined {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined || first.queuedMs > nowMs) return undefined;
      if (first.deadlineMs <= first.queuedMs) {
        this.remove(first);
        return first;
      }
      first.queuedMs = first.deadlineMs;
      this.sink(first);
    }
  }

  private rise(item: T): void {
    let index = item.heapIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.heap[parentIndex] as T;
      if (parent.queuedMs <= item.queuedMs) break;
      this.put(parent, index);
      index = parentIndex;
    }
    this.put(item, index);
  }

  private sink(item: T): void {
    let index = item.heapIndex;
    for (;;) {
      const leftIndex = 2 * index + 1;
      const left = this.heap[leftIndex];
      if (left === undefined) break;
      const right = this.heap[leftIndex + 1];
      const child = right !== undefined && right.queuedMs < left.queuedMs ? right : left;
      if (child.queuedMs >= item.queuedMs) break;
      const childIndex = child.heapIndex;
      this.put(child, index);
      index = childIndex;
    }
    this.put(item, index);
  }

  private put(item: T, index: number): void {
    this.heap[index] = item;
    item.heapIndex = index;
  }
}
