/**
 * What a draft model computes, and where: a KV cache of its own, beside that of the model whose tokens it guesses.
 *
 * ```text
 *   request   t0 … t7 │                its step:  t7 d1 d2 d3
 *   shadow    t0 … t5 │                rounds:    t6 t7 → d1      catches up, in chunks of the token budget
 *                     └ numComputed               d1 → d2         fed on the GPU, nothing is read back
 *                                                 d2 → d3
 * ```
 *
 * Each request has a shadow: a request of the draft model's that shares its tokens. What the shadow computed of wrong
 * drafts is taken back when they are verified; what it lacks, because the request went on without drafts or the pool had
 * no room, is made up for in the next rounds. A guess that could not be made is an id of an earlier time: a bad guess.
 *
 * @module
 */

import { KvCacheManager } from './kv_cache_manager.ts';
import { Request } from './request.ts';
import type { ScheduledStep, StepEntry } from './scheduled_step.ts';
import type { SchedulerOptions } from './scheduler_options.ts';
import type { Drafter } from './speculation.ts';
import { StepDraft } from './step_draft.ts';

/** A step of the draft model. */
export interface DraftRound {
  readonly step: ScheduledStep;
  /** Which draft of each slot is its last token after this round; undefined where not all have caught up. */
  readonly index: number | undefined;
}

/** Plans the steps of a draft model. */
export class DraftCache implements Drafter {
  readonly #options: SchedulerOptions;
  readonly #kv: KvCacheManager;
  readonly #shadows = new Map<Request, Request>();
  #numSteps = 0;

  /** @param options - of the draft model: its context, window and pool; slots and budget are those of the other */
  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#kv = new KvCacheManager({ ...options, maxChunk: options.tokenBudget });
  }

  /** Entries in a block table row. */
  get tableWidth(): number {
    return this.#kv.tableWidth;
  }

  get numFreeBlocks(): number {
    return this.#kv.numFree;
  }

  canDraft({ tokens }: Request): boolean {
    return tokens.length <= this.#kv.capacity;
  }

  draft({ tokens }: Request, most: number): readonly number[] {
    // The last draft is not computed.
    const count = Math.min(most, this.#kv.capacity + 1 - tokens.length);
    return Array.from({ length: Math.max(0, count) }, () => -1);
  }

  verified(request: Request): void {
    const shadow = this.#shadows.get(request);
    if (shadow !== undefined) {
      this.#kv.rollBack(shadow, Math.min(shadow.numComputed, request.tokens.length - 1));
    }
  }

  /**
   * The steps that make the drafts of a step, each to be run before the next is asked for. Their entries are of shadows,
   * in the slots of their requests.
   */
  *rounds({ entries }: ScheduledStep): Generator<DraftRound, void, undefined> {
    this.#dropIdle();
    const jobs = new Map<Request, number>();
    for (const entry of entries) {
      if (entry.drafts[0] === -1) jobs.set(this.#shadowOf(entry), entry.drafts.length);
    }
    for (let index = 0; ;) {
      const draft = new StepDraft(this.#options);
      const unmade = [...jobs].flatMap(([shadow, count]) => (count > index ? [shadow] : []));
      for (const shadow of unmade) {
        if (shadow.numInFlight > index) continue;
        if (!this.#isLive(shadow) || !this.#place(shadow, draft, jobs)) jobs.delete(shadow);
      }
      if (draft.isEmpty) break;
      const left = unmade.filter((shadow) => jobs.has(shadow));
      const isWhole = left.every(({ numInFlight }) => numInFlight > index);
      yield { step: draft.finish(this.#numSteps++), index: isWhole ? index : undefined };
      if (isWhole) index++;
    }
    for (const shadow of jobs.keys()) shadow.numInFlight = 0;
  }

  /** As `Scheduler.fillTableRow`, of a shadow. */
  fillTableRow(shadow: Request, row: Int32Array | Uint32Array): void {
    this.#kv.fillTableRow(shadow, row);
  }

  /** Forgets everything, because the device and its memory are gone. */
  clear(): void {
    this.#shadows.clear();
    this.#kv.clear();
  }

  /** The shadow of an entry's request. */
  #shadowOf({ request, slot }: StepEntry): Request {
    let shadow = this.#shadows.get(request);
    if (shadow === undefined) {
      const { tokens, numPrompt, cacheSalt, cacheLimit } = request;
      const prompt = tokens.slice(0, numPrompt);
      const options = { prompt, cacheSalt, cacheLimit, speculates: true };
      shadow = new Request(request.id, options, Infinity);
      shadow.tokens = tokens;
      this.#kv.acquirePrefix(shadow);
      this.#shadows.set(request, shadow);
    }
    if (shadow.slot !== slot) {
      // A request that was preempted and came back between two drafts may have another, where nothing of it is known.
      shadow.slot = slot;
      shadow.isFresh = true;
    }
    return shadow;
  }

  /** Whether nothing was cleared since the rounds began. */
  #isLive(shadow: Request): boolean {
    for (const its of this.#shadows.values()) if (its === shadow) return true;
    return false;
  }

  /**
   * Adds as many pending tokens to the round as its budget allows.
   *
   * @returns false where the pool has no room for any, even if it drops those that have no drafts now; it is dropped then
   */
  #place(shadow: Request, draft: StepDraft, jobs: ReadonlyMap<Request, number>): boolean {
    const wanted = Math.min(shadow.numPending, draft.budget);
    if (wanted === 0) return true;
    let count = this.#kv.extend(shadow, wanted, draft.copies);
    while (count === 0 && this.#dropOne((other) => !jobs.has(other))) {
      count = this.#kv.extend(shadow, wanted, draft.copies);
    }
    if (count === 0) {
      this.#dropOne((other) => other === shadow);
      return false;
    }
    draft.add(shadow, count, []);
    this.#kv.publish(shadow);
    return true;
  }

  #dropIdle(): void {
    while (this.#dropOne((_, request) => request.status !== 'running'));
  }

  #dropOne(isToGo: (shadow: Request, request: Request) => boolean): boolean {
    for (const [request, shadow] of this.#shadows) {
      if (!isToGo(shadow, request)) continue;
      this.#kv.release(shadow);
      this.#shadows.delete(request);
      return true;
    }
    return false;
  }
}
