import type { Request } from './request.ts';
import type { BlockCopy, ScheduledStep, StepEntry } from './scheduled_step.ts';
import type { SchedulerOptions } from './scheduler_options.ts';

/** A step that is being planned. */
export class StepDraft {
  readonly copies: BlockCopy[] = [];
  readonly #options: SchedulerOptions;
  readonly #entries: StepEntry[] = [];
  readonly #encodes: Request[] = [];
  #numTokens = 0;
  #numDrafts = 0;
  #numEncoderTokens = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Tokens that it can still take. */
  get budget(): number {
    return this.#options.tokenBudget - this.#numTokens;
  }

  /** Sequences that it can still take, where each draft counts as one. */
  get rowsLeft(): number {
    const { maxSequences, maxRows = maxSequences } = this.#options;
    return maxRows - this.#entries.length - this.#numDrafts;
  }

  /**
   * Drafts that it can still take.
   *
   * @param numRequests - of which each is to have a place
   */
  draftRoom(numRequests: number): number {
    const { tokenBudget, maxSequences, maxRows = maxSequences } = this.#options;
    const room = Math.min(maxRows, tokenBudget) - numRequests - this.#numDrafts;
    return Math.min(room, this.budget - 1);
  }

  /** Longest encoder input that it can still take: any, if it has none yet. */
  get encoderRoom(): number {
    const { encoderBudget = Infinity } = this.#options;
    return this.#numEncoderTokens === 0 ? Infinity : encoderBudget - this.#numEncoderTokens;
  }

  /** Has the encoder input of a request run, if it has one. */
  encode(request: Request): void {
    if (request.encoderInput !== undefined) {
      this.#encodes.push(request);
      this.#numEncoderTokens += request.encoderInput.length;
    }
  }

  /**
   * Adds the next `count` tokens of a request, at most `budget`; from now on they count as computed.
   *
   * @param drafts - the last of them, where the one before is the last token there is
   */
  add(request: Request, count: number, drafts: readonly number[]): void {
    const { slot, isFresh: isFirst, numComputed: start } = request;
    const kvLength = start + count;
    const samples = kvLength - drafts.length === request.length;
    const inputFromGpu = start >= request.tokens.length;
    const where = { slot, isFirst, start, count, kvLength };
    this.#entries.push({ request, ...where, drafts, samples, inputFromGpu });
    this.#numTokens += count;
    this.#numDrafts += drafts.length;
    request.isFresh = false;
    request.numComputed = kvLength;
    request.numInFlight += Number(samples);
  }

  finish(id: number): ScheduledStep {
    const isSingle = ({ count, drafts }: StepEntry): boolean => count === 1 + drafts.length;
    return {
      id,
      encodes: this.#encodes,
      copies: this.copies,
      entries: this.#entries.toSorted((a, b) => Number(isSingle(b)) - Number(isSingle(a))),
      numSingles: this.#entries
        .filter((entry) => isSingle(entry))
        .reduce((sum, { count }) => sum + count, 0),
      numTokens: this.#numTokens,
    };
  }
}
