/** How the next token of a request is chosen; see `SampleParams` in kernels/sample.ts for the order of the steps. */
export interface SamplingParams {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 is off. */
  readonly topK: number;
  /** 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly minP: number;
  /** 1 is off. */
  readonly repetitionPenalty: number;
  /** 0 is off. */
  readonly frequencyPenalty: number;
  /** 0 is off. */
  readonly presencePenalty: number;
  /** Token id → number added to its logit. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** 64-bit seed as two unsigned words. */
  readonly seed: readonly [low: number, high: number];
  /** Alternatives to report with each token; undefined: no log-probabilities at all. */
  readonly topLogprobs: number | undefined;
}

/** Always the most probable token. */
export const GREEDY: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: new Map(),
  seed: [0, 0],
  topLogprobs: undefined,
};

/** Whether tokens already seen change the choice, so that they must be counted. */
export function usesHistory(params: SamplingParams): boolean {
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = params;
  return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}
