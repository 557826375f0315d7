import { RequestError } from '../../util/errors.ts';

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
  /**
   * Most sequences in a step, where each draft counts as one: at least `maxSequences`, which is the default and leaves no
   * room for drafts when all run.
   */
  readonly maxRows?: number | undefined;
  /** Most tokens in a step, at least `maxSequences` so that every running stream advances in every step. */
  readonly tokenBudget: number;
  /** Most steps submitted but not completed. */
  readonly maxInFlight: number;
  /** Most tokens of an encoder input; absent: the model has no encoder, and requests no input for one. */
  readonly maxEncoderInput?: number | undefined;
  /** Tokens of encoder input in a step, but a longer input is alone in its step; absent: no limit. */
  readonly encoderBudget?: number | undefined;
}

/** @throws RequestError when an option is not a positive integer, or the budget is below `maxSequences`. */
export function checkSchedulerOptions(options: SchedulerOptions): void {
  const { numBlocks, pageSize, contextLength, maxSequences, tokenBudget, maxInFlight } = options;
  const { window = 1, maxEncoderInput = 1, encoderBudget = 1, maxRows = maxSequences } = options;
  const counts = { numBlocks, pageSize, contextLength, maxSequences, tokenBudget, maxInFlight };
  for (const [name, value] of Object.entries({
    ...counts,
    window,
    maxEncoderInput,
    encoderBudget,
    maxRows,
  })) {
    checkCount('scheduler', name, value);
  }
  if (tokenBudget < maxSequences) {
    throw new RequestError(
      `scheduler: tokenBudget is ${tokenBudget}, expected at least maxSequences (${maxSequences}); raise the budget`,
      { param: 'tokenBudget' },
    );
  }
  if (maxRows < maxSequences) {
    throw new RequestError(
      `scheduler: maxRows is ${maxRows}, expected at least maxSequences (${maxSequences})`,
      { param: 'maxRows' },
    );
  }
}

/** @throws RequestError when `value` is not an integer of at least 1. */
export function checkCount(where: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RequestError(`${where}: ${name} is ${value}, expected a positive integer`, {
      param: name,
    });
  }
}
