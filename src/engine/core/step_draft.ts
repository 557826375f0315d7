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

  /** Adds the next `count` tokens of a request, at most `budget`; from now on they count as computed. */
  add(request: Request, count: number): void {
    const { slot, isFresh: isFirst, numComputed: start } = request;
    const kvLength = start + count;
    const samples = kvLength === request.length;
    const inputFromGpu = start >= request.tokens.length;
    this.#entries.push({ request, slot, isFirst, start, count, kvLength, samples, inputFromGpu });
    this.#numTokens += count;
    request.isFresh = false;
    request.numComputed = kvLength;
    request.numInFlight += Number(samples);
  }

  finish(id: number): ScheduledStep {
    return {
      id,
      encodes: this.#encodes,
      copies: this.copies,
      entries: this.#entries.toSorted((a, b) => Number(a.count > 1) - Number(b.count > 1)),
      numSingles: this.#entries.filter(({ count }) => count === 1).length,
      numTokens: this.#numTokens,
    };
  }
}
