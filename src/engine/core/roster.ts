/**
 * Who waits and who runs, in which slot and with which blocks: admission, preemption and departure.
 *
 * All of it happens to units: a request alone, or the beams of a group, whose members stand beside each other and
 * run, wait and end together.
 *
 * @module
 */

import type { KvCacheManager } from './kv_cache_manager.ts';
import type { Request } from './request.ts';

/** Requests that are admitted, preempted and ended together, at least one. */
export type Unit = readonly Request[];

/** The two lists of units, both in order of arrival; every running unit is older than every waiting one. */
export class Roster {
  readonly #kv: KvCacheManager;
  readonly #running: Unit[] = [];
  readonly #waiting: Unit[] = [];
  readonly #freeSlots: number[];

  constructor(kv: KvCacheManager, numSlots: number) {
    this.#kv = kv;
    this.#freeSlots = Array.from({ length: numSlots }, (_, i) => numSlots - 1 - i);
  }

  /** Oldest first. May be walked while the youngest are preempted. */
  get running(): Iterable<Unit> {
    return this.#running;
  }

  /** Running requests; each has a slot. */
  get numRunning(): number {
    return this.#running.flat().length;
  }

  get numWaiting(): number {
    return this.#waiting.flat().length;
  }

  /** All requests, the running ones first. */
  get requests(): readonly Request[] {
    return [...this.#running, ...this.#waiting].flat();
  }

  enqueue(unit: Unit): void {
    this.#waiting.push(unit);
  }

  /**
   * Moves the oldest waiting unit to the running ones and gives it blocks for its encoder's output, if slots are free
   * and the pool can hold all its tokens beside what the running requests still need for theirs and one block more for
   * each to grow into. Without that margin a unit just preempted would come back only to be preempted again.
   *
   * @param maxEncoderInput - longest encoder input that is welcome now
   * @param maxRequests - most requests that are welcome now
   */
  admit(maxEncoderInput: number, maxRequests: number): Unit | undefined {
    const unit = this.#waiting[0];
    if (
      unit === undefined ||
      unit.length > Math.min(this.#freeSlots.length, maxRequests) ||
      encoderTokens(unit) > maxEncoderInput ||
      unit.some((request) => request.numInFlight > 0) ||
      unit.every((request) => request.hasSampled)
    ) {
      return undefined;
    }
    for (const request of unit) {
      this.#kv.acquirePrefix(request);
    }
    if (this.#running.length > 0 && !this.#hasRoomFor(unit)) {
      for (const request of unit) {
        this.#kv.release(request);
      }
      return undefined;
    }
    this.#waiting.shift();
    this.#running.push(unit);
    this.#kv.acquireCross(unit);
    for (const request of unit) {
      if (request.numPreemptions === 0) {
        request.numCachedTokens = request.numComputed;
      }
      request.slot = this.#freeSlots.pop() ?? -1;
      request.isFresh = true;
      // All beams sample anew: what some had sampled before a preemption belongs to a round that was broken off.
      request.hasSampled = false;
      request.status = 'running';
    }
    return unit;
  }

  /** Sends the youngest running unit back to wait, before all others; it keeps its known tokens only. */
  preemptYoungest(): Unit | undefined {
    const unit = this.#running.pop();
    if (unit !== undefined) {
      this.#vacate(unit);
      this.#waiting.unshift(unit);
      for (const request of unit) {
        request.status = 'waiting';
        request.numPreemptions++;
      }
    }
    return unit;
  }

  /** Takes the unit of a request off its list, with slots and blocks. */
  remove(request: Request): Unit {
    const list = request.status === 'running' ? this.#running : this.#waiting;
    const index = list.findIndex((unit) => unit.includes(request));
    const [unit = []] = index < 0 ? [] : list.splice(index, 1);
    if (list === this.#running) {
      this.#vacate(unit);
    }
    return unit;
  }

  #hasRoomFor(unit: Unit): boolean {
    const demand = (requests: Unit): number =>
      requests.reduce((sum, request) => sum + this.#kv.demand(request), 0);
    const running = this.#running.flat();
    const claimed = demand(running) + running.length;
    const crossBlocks = this.#kv.blocksOf(encoderTokens(unit));
    return demand(unit) + crossBlocks + claimed <= this.#kv.numFree;
  }

  #vacate(unit: Unit): void {
    for (const request of unit) {
      this.#kv.release(request);
      this.#freeSlots.push(request.slot);
      request.slot = -1;
    }
  }
}

/** Length of the encoder input that a unit has in common. */
function encoderTokens(unit: Unit): number {
  return unit[0]?.encoderInput?.length ?? 0;
}
