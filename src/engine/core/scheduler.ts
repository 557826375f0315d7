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
 * Invariants, for units, which are requests alone or the beams of a group:
 * - every running unit is older than every waiting one, and both lists are in order of arrival;
 * - in all running units but the youngest a request has at most one token to compute: a prompt takes all the budget
 *   that is left or all the blocks that are free, and either way nobody is admitted after it. So one walk from the
 *   oldest to the youngest serves decodes before prompts;
 * - only the youngest running unit is preempted, so never one that already has an entry in the step; the oldest
 *   always advances, so with the capacity checked at `add` the scheduler cannot lock up;
 * - a unit is admitted only when none of its samples are in flight, so its input tokens are all known; its encoder
 *   input runs in the step that admits it, again after each preemption;
 * - a request whose drafts are in flight is held: it has no other step in flight, and wrong drafts are taken back
 *   when the result comes;
 * - no step computes past `maxLength`; steps past a stop id happen, and their samples are dropped.
 *
 * After the scheduler of vLLM v1 (`vllm/v1/core/sched/scheduler.py`) and of nano-vllm.
 *
 * @module
 */

import { KvCacheManager } from './kv_cache_manager.ts';
import { checkBeams, checkRequest, longestBeside } from './request_checks.ts';
import { BeamGroup, Request } from './request.ts';
import type { BeamOptions, FinishReason, RequestOptions } from './request.ts';
import { Roster } from './roster.ts';
import type { Unit } from './roster.ts';
import type {
  BeamChoice,
  ScheduledStep,
  StepEntry,
  StepOutcome,
  TokenEvent,
} from './scheduled_step.ts';
import { checkSchedulerOptions } from './scheduler_options.ts';
import type { SchedulerOptions } from './scheduler_options.ts';
import type { Speculation } from './speculation.ts';
import { StepDraft } from './step_draft.ts';

/** Continuous batching with chunked prefill, prefix cache, beams, and preemption by recompute. */
export class Scheduler {
  readonly #kv: KvCacheManager;
  readonly #options: SchedulerOptions;
  readonly #roster: Roster;
  readonly #speculation: Speculation | undefined;
  readonly #outstanding: ScheduledStep[] = [];
  #numRequests = 0;
  #numSteps = 0;

  /**
   * @param speculation - drafts tokens of requests that allow it
   * @throws RequestError when an option is not a positive integer, or the budget is below `maxSequences`.
   */
  constructor(options: SchedulerOptions, speculation?: Speculation) {
    checkSchedulerOptions(options);
    this.#speculation = speculation;
    this.#options = options;
    this.#kv = new KvCacheManager({ ...options, maxChunk: options.tokenBudget });
    this.#roster = new Roster(this.#kv, options.maxSequences);
  }

  /** Positions of the longest sequence without encoder input: the context length, or less where the pool is smaller. */
  get capacity(): number {
    return this.#kv.capacity;
  }

  /** Tokens at which a sequence beside an encoder input ends at the latest, or each of so many beams. */
  maxLength(numEncoderTokens: number, numBeams: number): number {
    return longestBeside(numEncoderTokens, numBeams, this.#options, this.#kv);
  }

  /** Entries in a block table row. */
  get tableWidth(): number {
    return this.#kv.tableWidth;
  }

  /** Entries in a block table row of an encoder's output; 0 without an encoder. */
  get crossTableWidth(): number {
    const { maxEncoderInput = 0, numBlocks } = this.#options;
    return Math.min(this.#kv.blocksOf(maxEncoderInput), numBlocks);
  }

  get numRunning(): number {
    return this.#roster.numRunning;
  }

  get numWaiting(): number {
    return this.#roster.numWaiting;
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
   * @throws RequestError when the prompt is empty, it or the encoder input does not fit, or a number is out of range.
   */
  add(options: RequestOptions): Request {
    const maxLength = checkRequest(options, this.#options, this.#kv);
    const request = new Request(this.#numRequests++, options, maxLength);
    this.#speculation?.hold(request);
    this.#roster.enqueue([request]);
    return request;
  }

  /**
   * Queues the beams of a search: they get the tokens that {@link advance} gives them, and end with
   * {@link finishGroup}.
   *
   * @throws RequestError as {@link add}, or when the beams cannot run at once or each grow to its full length.
   */
  addBeams(options: BeamOptions, numBeams: number): BeamGroup {
    const maxLength = checkBeams(options, numBeams, this.#options, this.#kv);
    const group = new BeamGroup(this.#numRequests, options, maxLength, numBeams);
    this.#numRequests += numBeams;
    this.#roster.enqueue(group.requests);
    return group;
  }

  /**
   * Plans the next step: one token for each running stream, then prompts in order of arrival as far as the budget
   * goes, then new admissions.
   *
   * @returns the step, or `undefined` when nothing can run before a result arrives, a request is added, or a group whose
   * round is over advances.
   */
  schedule(): ScheduledStep | undefined {
    if (this.#outstanding.length >= this.#options.maxInFlight) {
      return undefined;
    }
    const draft = new StepDraft(this.#options);
    this.#speculation?.begin(this.#roster.running, draft.draftRoom(this.#numWelcome));
    // Preemption pops units off the end of the list while this loop walks it, which array iterators allow.
    for (const unit of this.#roster.running) {
      this.#place(unit, draft);
    }
    for (let unit = this.#admit(draft); unit !== undefined; unit = this.#admit(draft)) {
      this.#place(unit, draft);
    }
    if (draft.isEmpty) {
      return undefined;
    }
    const step = draft.finish(this.#numSteps++);
    this.#outstanding.push(step);
    return step;
  }

  /**
   * Takes in the results of the oldest outstanding step.
   *
   * @param sampledIds `[entries]`, the ids of each entry in order: one, and one more after each draft; those of entries
   * that do not sample are ignored.
   * @param drafts `[entries]`, the drafts of each entry, where only the GPU knew them.
   * @returns the tokens of requests, and the groups of beams whose round is over. A beam that was preempted may sample
   * twice in a round: the later result counts.
   */
  complete(
    step: ScheduledStep,
    sampledIds: readonly (readonly number[])[],
    drafts: readonly (readonly number[])[] = step.entries.map((entry) => entry.drafts),
  ): StepOutcome {
    if (step !== this.#outstanding[0] || sampledIds.length < step.entries.length) {
      throw new Error(
        `scheduler: step ${step.id} came back with ${sampledIds.length} ids, ` +
          `expected step ${this.#outstanding[0]?.id ?? 'none'} with ${step.entries.length}`,
      );
    }
    this.#outstanding.shift();
    const events: TokenEvent[] = [];
    const rounds: BeamGroup[] = [];
    for (const [i, entry] of step.entries.entries()) {
      const { request, samples } = entry;
      if (!samples || request.status === 'finished') {
        continue;
      }
      request.numInFlight--;
      if (request.group === undefined) {
        events.push(...this.#accept(entry, sampledIds[i] ?? [], drafts[i] ?? []));
      } else {
        request.hasSampled = true;
        if (request.group.isUndecided) {
          rounds.push(request.group);
        }
      }
    }
    return { events, rounds };
  }

  /**
   * Begins the next round of a group that {@link complete} reported: beam i goes on as `choices[i]` says. Beams that
   * have a parent in common share its blocks until they write. Call it or {@link finishGroup} before the next step is
   * scheduled, since no younger request is admitted before a preempted group knows how to go on.
   */
  advance(group: BeamGroup, choices: readonly BeamChoice[]): void {
    const { requests } = group;
    const parents = choices.flatMap(({ parent }) => requests[parent] ?? []);
    const [first] = requests;
    if (
      first === undefined ||
      first.status === 'finished' ||
      !group.isUndecided ||
      choices.length !== requests.length ||
      parents.length !== requests.length ||
      first.tokens.length + 1 >= first.maxLength
    ) {
      throw new Error(
        `scheduler: ${choices.length} choices for a group of ${requests.length} beams with ${first?.tokens.length} ` +
          `tokens, expected one for each, between rounds and before the last token (maxLength ${first?.maxLength})`,
      );
    }
    this.#kv.fork(requests, parents);
    const histories = parents.map(({ tokens }) => tokens);
    for (const [i, { token }] of choices.entries()) {
      const request = requests[i];
      if (request !== undefined) {
        request.tokens = [...(histories[i] ?? []), token];
        request.hasSampled = false;
      }
    }
  }

  /**
   * Ends a request now, whatever state it is in: its blocks and slot are free at once, results still in flight are
   * dropped. A beam ends with its group. Does nothing to a request that has ended.
   */
  finish(request: Request, reason: FinishReason): void {
    if (request.status === 'finished') {
      return;
    }
    for (const ended of this.#roster.remove(request)) {
      ended.status = 'finished';
      ended.finishReason = reason;
    }
  }

  /** Ends all beams of a group, as {@link finish}. */
  finishGroup(group: BeamGroup, reason: FinishReason): void {
    for (const request of group.requests) {
      this.finish(request, reason);
    }
  }

  /**
   * Takes back all that was computed, because the device and its memory are gone: running requests wait again, as if
   * preempted, outstanding steps will not be completed, and the prefix cache is empty. Tokens that were sampled but
   * not read back are sampled again.
   */
  startOver(): void {
    while (this.#roster.preemptYoungest() !== undefined);
    for (const request of this.#roster.requests) {
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
    const ended = this.#roster.requests;
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

  /** Writes the row `[crossTableWidth]` of an entry's encoder output, under the same conditions. */
  fillCrossTableRow(request: Request, row: Int32Array | Uint32Array): void {
    this.#kv.fillCrossTableRow(request, row);
  }

  /**
   * Adds what can be computed of a running unit to the step, preempting the youngest while there is no block for any
   * of it. Beams for which no block is left wait for the next step.
   */
  #place(unit: Unit, draft: StepDraft): void {
    const pending = unit.filter((request) => request.numPending > 0);
    while (draft.budget > 0 && pending.length > 0) {
      const { budget } = draft;
      for (const request of pending) {
        this.#placeRequest(request, draft);
      }
      if (draft.budget < budget || this.#roster.preemptYoungest() === unit) {
        return;
      }
    }
  }

  /** Adds as many pending tokens to the step as budget and blocks allow, maybe none. */
  #placeRequest(request: Request, draft: StepDraft): void {
    if (request.isFresh && request.group !== undefined) {
      // The beams before it may have computed just now what it has in common with them.
      this.#kv.acquirePrefix(request);
    }
    const wanted = Math.min(request.numPending, draft.budget);
    const room = request.isHeld ? draft.draftRoom(this.#numWelcome) : 0;
    const drafts = this.#speculation?.draftsFor(request, room) ?? [];
    const count = wanted > 0 ? this.#kv.extend(request, wanted + drafts.length, draft.copies) : 0;
    if (count > 0) {
      draft.add(request, count, drafts.slice(0, count - Math.min(count, wanted)));
      this.#kv.publish(request);
    }
  }

  /** Requests that run, and those that wait for nothing but the next step. */
  get #numWelcome(): number {
    const { numRunning, numWaiting } = this.#roster;
    return Math.min(this.#options.maxSequences, numRunning + numWaiting);
  }

  #admit(draft: StepDraft): Unit | undefined {
    const { budget, encoderRoom, rowsLeft } = draft;
    const unit = budget > 0 ? this.#roster.admit(encoderRoom, rowsLeft) : undefined;
    const [first] = unit ?? [];
    if (first !== undefined) {
      draft.encode(first);
    }
    return unit;
  }

  /** Takes in what an entry sampled, up to the first id that its draft is not, or that ends the request. */
  #accept(
    { request, kvLength }: StepEntry,
    ids: readonly number[],
    drafts: readonly number[],
  ): readonly TokenEvent[] {
    const wrong = drafts.findIndex((draft, i) => draft !== ids[i]);
    const accepted = wrong < 0 ? drafts.length : wrong;
    // A request that was preempted meanwhile has nothing to take back.
    if (drafts.length > 0 && request.numComputed === kvLength) {
      this.#kv.rollBack(request, kvLength - drafts.length + accepted);
    }
    const events: TokenEvent[] = [];
    for (const [i, token] of ids.slice(0, accepted + 1).entries()) {
      events.push(this.#append(request, token, i));
      if (request.finishReason !== undefined) break;
    }
    request.numDrafted += drafts.length;
    request.numAccepted += events.length - 1;
    this.#speculation?.learn(request, drafts.length, accepted);
    return events;
  }

  #append(request: Request, token: number, sample: number): TokenEvent {
    request.tokens.push(token);
    this.#kv.publish(request);
    if (request.stopIds.has(token)) {
      this.finish(request, 'stop');
    } else if (request.tokens.length >= request.maxLength) {
      this.finish(request, 'length');
    }
    return { request, sample, token, finishReason: request.finishReason };
  }
}
