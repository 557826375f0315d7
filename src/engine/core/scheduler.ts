/**
 * Decides what each step computes, and follows each request from arrival to its last token.
 *
 * There are no phases: a step is a list of `(request, start, count)`, and prefill, chunked prefill and decode are
 * only different counts. Everything here is integers and runs without a GPU.
 *
 * ```text
 *   add ──> waiting ──admit──> running ──stop, length, finish──> finished
 *              ▲                  │
 *              └─────preempt──────┘          its blocks go to an older request, it recomputes later
 *
 *   schedule ──> [step 8] ──submit──> GPU     at most maxInFlight outstanding, completed in order;
 *   complete <── [step 7] <──read back──      a decode may be scheduled before its input token is read back
 * ```
 *
 * What the caller promises: a step that was returned is submitted before any later one, or `failAll` or `startOver`
 * is called; the GPU runs submissions in order; within a step each layer writes all keys and values before it reads any.
 * From that follows that blocks and slots can be taken from a request at once while its steps are in flight, and
 * that a block can be shared as soon as the step that fills it is scheduled.
 *
 * Invariants:
 * - every running request is older than every waiting one, and both lists are in order of arrival;
 * - all running requests but the youngest have at most one token to compute: a prompt takes all the budget that is
 *   left or all the blocks that are free, and either way nobody is admitted after it. So one walk from the oldest to
 *   the youngest serves decodes before prompts;
 * - only the youngest running request is preempted, so never one that already has an entry in the step; the oldest
 *   always advances, so with the capacity checked at `add` the scheduler cannot lock up;
 * - a request is admitted only when none of its samples are in flight, so its input tokens are all known;
 * - no step computes past `maxLength`; steps past a stop id happen, and their samples are dropped.
 *
 * After the scheduler of vLLM v1 (`vllm/v1/core/sched/scheduler.py`) and of nano-vllm.
 *
 * @module
 */

import { RequestError } from '../../util/errors.ts';
import { KvCacheManager } from './kv_cache_manager.ts';
import { Request } from './request.ts';
import type { FinishReason, RequestOptions } from './request.ts';
import type { ScheduledStep, StepEntry, TokenEvent } from './scheduled_step.ts';

/** Limits of a scheduler; all are integers of at least 1. */
export interface SchedulerOptions {
  /** Blocks in the KV cache. */
  readonly numBlocks: number;
  /** Tokens in a block. */
  readonly pageSize: number;
  /** Most positions of a sequence. */
  readonly contextLength: number;
  /** Positions a token attends to, itself included; absent: all. */
  readonly window?: number | undefined;
  /** Most requests running at once: the number of slots. */
  readonly maxSequences: number;
  /** Most tokens in a step, at least `maxSequences` so that every running stream advances in every step. */
  readonly tokenBudget: number;
  /** Most steps submitted but not completed. */
  readonly maxInFlight: number;
}

/** Continuous batching with chunked prefill, prefix cache and preemption by recompute. */
export class Scheduler {
  readonly #kv: KvCacheManager;
  readonly #options: SchedulerOptions;
  readonly #running: Request[] = [];
  readonly #waiting: Request[] = [];
  readonly #outstanding: ScheduledStep[] = [];
  readonly #freeSlots: number[];
  #numRequests = 0;
  #numSteps = 0;

  /** @throws RequestError when an option is not a positive integer, or the budget is below `maxSequences`. */
  constructor(options: SchedulerOptions) {
    const { numBlocks, pageSize, contextLength, window, maxSequences, tokenBudget, maxInFlight } =
      options;
    const counts = { numBlocks, pageSize, contextLength, maxSequences, tokenBudget, maxInFlight };
    for (const [name, value] of Object.entries({ ...counts, window: window ?? 1 })) {
      checkCount('scheduler', name, value);
    }
    if (tokenBudget < maxSequences) {
      throw new RequestError(
        `scheduler: tokenBudget is ${tokenBudget}, expected at least maxSequences (${maxSequences}); raise the budget`,
        { param: 'tokenBudget' },
      );
    }
    this.#options = options;
    this.#kv = new KvCacheManager({
      numBlocks,
      pageSize,
      contextLength,
      window,
      maxChunk: tokenBudget,
    });
    this.#freeSlots = Array.from({ length: maxSequences }, (_, i) => maxSequences - 1 - i);
  }

  /** Positions of the longest sequence: the context length, or less where the block pool is smaller. */
  get capacity(): number {
    return this.#kv.capacity;
  }

  /** Entries in a block table row. */
  get tableWidth(): number {
    return this.#kv.tableWidth;
  }

  get numRunning(): number {
    return this.#running.length;
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  /** Steps scheduled but not completed. */
  get numInFlight(): number {
    return this.#outstanding.length;
  }

  /** Blocks that no request holds. */
  get numFreeBlocks(): number {
    return this.#kv.numFree;
  }

  /** Blocks that a later request can find by content, held or free. */
  get numCachedBlocks(): number {
    return this.#kv.numCached;
  }

  /**
   * Queues a request. It ends with `'length'` after `maxTokens`, or earlier when its sequence fills the capacity;
   * the last token needs no place there, because nothing is computed from it.
   *
   * @throws RequestError when the prompt is empty or longer than the capacity, or a number is out of range.
   */
  add(options: RequestOptions): Request {
    const { prompt, maxTokens = Infinity, cacheSalt = 0, cacheLimit = Infinity } = options;
    if (maxTokens !== Infinity) {
      checkCount('request', 'maxTokens', maxTokens);
    }
    if (!Number.isSafeInteger(cacheSalt) || !(cacheLimit >= 0)) {
      throw new RequestError(
        `request: cacheSalt is ${cacheSalt} and cacheLimit ${cacheLimit}, expected an integer and a number from 0`,
      );
    }
    if (prompt.length === 0) {
      throw new RequestError('request: the prompt is empty, expected at least one token', {
        param: 'prompt',
      });
    }
    if (prompt.length > this.capacity) {
      const { contextLength } = this.#options;
      const limit =
        this.capacity < contextLength
          ? `the KV cache holds ${this.capacity}; shorten it or enlarge the cache`
          : `the context holds ${contextLength}; shorten it`;
      throw new RequestError(`request: the prompt has ${prompt.length} tokens, ${limit}`, {
        param: 'prompt',
      });
    }
    const maxLength = Math.min(prompt.length + maxTokens, this.capacity + 1);
    const request = new Request(this.#numRequests++, options, maxLength);
    this.#waiting.push(request);
    return request;
  }

  /**
   * Plans the next step: one token for each running stream, then prompts in order of arrival as far as the budget
   * goes, then new admissions.
   *
   * @returns the step, or `undefined` when nothing can run before a result arrives or a request is added.
   */
  schedule(): ScheduledStep | undefined {
    if (this.#outstanding.length >= this.#options.maxInFlight) {
      return undefined;
    }
    const entries: StepEntry[] = [];
    let budget = this.#options.tokenBudget;
    // Preemption pops requests off the end of the list while this loop walks it, which array iterators allow.
    for (const request of this.#running) {
      if (request.numPending > 0) {
        budget -= this.#place(request, Math.min(request.numPending, budget), entries);
      }
    }
    for (let request = this.#admit(budget); request !== undefined; request = this.#admit(budget)) {
      budget -= this.#place(request, Math.min(request.numPending, budget), entries, true);
    }
    if (entries.length === 0) {
      return undefined;
    }
    const step = {
      id: this.#numSteps++,
      entries: entries.sort((a, b) => Number(a.count > 1) - Number(b.count > 1)),
      numSingles: entries.filter((entry) => entry.count === 1).length,
      numTokens: this.#options.tokenBudget - budget,
    };
    this.#outstanding.push(step);
    return step;
  }

  /**
   * Takes in the results of the oldest outstanding step.
   *
   * @param sampledIds `[entries]`, one id for each entry in order; those of entries that do not sample are ignored.
   * @returns one event for each token of a request that had not ended before.
   */
  complete(step: ScheduledStep, sampledIds: ArrayLike<number>): readonly TokenEvent[] {
    if (step !== this.#outstanding[0] || sampledIds.length < step.entries.length) {
      throw new Error(
        `scheduler: step ${step.id} came back with ${sampledIds.length} ids, ` +
          `expected step ${this.#outstanding[0]?.id ?? 'none'} with ${step.entries.length}`,
      );
    }
    this.#outstanding.shift();
    const events: TokenEvent[] = [];
    for (const [i, { request, samples }] of step.entries.entries()) {
      const token = sampledIds[i];
      if (samples && token !== undefined && request.status !== 'finished') {
        events.push(this.#append(request, token));
      }
    }
    return events;
  }

  /**
   * Ends a request now, whatever state it is in: its blocks and slot are free at once, results still in flight are
   * dropped. Does nothing to a request that has ended.
   */
  finish(request: Request, reason: FinishReason): void {
    if (request.status === 'finished') {
      return;
    }
    if (request.status === 'running') {
      this.#running.splice(this.#running.indexOf(request), 1);
      this.#vacate(request);
    } else {
      this.#waiting.splice(this.#waiting.indexOf(request), 1);
    }
    request.status = 'finished';
    request.finishReason = reason;
  }

  /**
   * Takes back all that was computed, because the device and its memory are gone: running requests wait again, as if
   * preempted, outstanding steps will not be completed, and the prefix cache is empty. Tokens that were sampled but
   * not read back are sampled again.
   */
  startOver(): void {
    while (this.#running.length > 0) {
      this.#preemptYoungest();
    }
    for (const request of this.#waiting) {
      request.numInFlight = 0;
    }
    this.#outstanding.length = 0;
    this.#kv.clear();
  }

  /**
   * Ends everything because the device and its memory are gone: requests with `'error'`, outstanding steps
   * without results, and the prefix cache is empty.
   *
   * @returns the requests that were ended.
   */
  failAll(): readonly Request[] {
    const ended = [...this.#running, ...this.#waiting];
    for (const request of ended) {
      this.finish(request, 'error');
    }
    this.#outstanding.length = 0;
    this.#kv.clear();
    return ended;
  }

  /**
   * Writes the block table row `[tableWidth]` of an entry of the step just scheduled: logical block b in entry
   * `b % tableWidth`, 0 where there is none. Valid until the next call that changes the scheduler.
   */
  fillTableRow(request: Request, row: Int32Array | Uint32Array): void {
    this.#kv.fillTableRow(request, row);
  }

  /**
   * Adds up to `wanted` tokens of a running request to the step, preempting the youngest while there is no block.
   *
   * @returns the tokens added; 0 when the request was itself the youngest.
   */
  #place(request: Request, wanted: number, entries: StepEntry[], isFirst = false): number {
    let count = this.#kv.extend(request, wanted);
    while (count === 0) {
      if (this.#preemptYoungest() === request) {
        return 0;
      }
      count = this.#kv.extend(request, wanted);
    }
    const { slot, numComputed: start } = request;
    const kvLength = start + count;
    const samples = kvLength === request.length;
    const inputFromGpu = start >= request.tokens.length;
    entries.push({ request, slot, isFirst, start, count, kvLength, samples, inputFromGpu });
    request.numComputed = kvLength;
    request.numInFlight += Number(samples);
    this.#kv.publish(request);
    return count;
  }

  /**
   * Moves the oldest waiting request to the running ones, if the budget has room, a slot is free and the pool can hold
   * all its tokens beside what the running requests still need for theirs and one block more for each to grow into.
   * Without that margin a request just preempted would come back only to be preempted again.
   */
  #admit(budget: number): Request | undefined {
    const request = this.#waiting[0];
    const slot = this.#freeSlots.at(-1);
    if (request === undefined || slot === undefined || budget === 0 || request.numInFlight > 0) {
      return undefined;
    }
    this.#kv.acquirePrefix(request);
    const claimed = this.#running.reduce((sum, other) => sum + this.#kv.demand(other) + 1, 0);
    if (this.#running.length > 0 && this.#kv.demand(request) + claimed > this.#kv.numFree) {
      this.#kv.release(request);
      return undefined;
    }
    if (request.numPreemptions === 0) {
      request.numCachedTokens = request.numComputed;
    }
    this.#waiting.shift();
    this.#freeSlots.pop();
    this.#running.push(request);
    request.slot = slot;
    request.status = 'running';
    return request;
  }

  #preemptYoungest(): Request | undefined {
    const request = this.#running.pop();
    if (request !== undefined) {
      this.#vacate(request);
      this.#waiting.unshift(request);
      request.status = 'waiting';
      request.numPreemptions++;
    }
    return request;
  }

  /** Takes blocks and slot from a request that stops running. */
  #vacate(request: Request): void {
    this.#kv.release(request);
    this.#freeSlots.push(request.slot);
    request.slot = -1;
  }

  #append(request: Request, token: number): TokenEvent {
    request.tokens.push(token);
    request.numInFlight--;
    this.#kv.publish(request);
    if (request.stopIds.has(token)) {
      this.finish(request, 'stop');
    } else if (request.tokens.length >= request.maxLength) {
      this.finish(request, 'length');
    }
    return { request, token, finishReason: request.finishReason };
  }
}

function checkCount(where: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RequestError(`${where}: ${name} is ${value}, expected a positive integer`, {
      param: name,
    });
  }
}
