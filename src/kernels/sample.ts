import { rowsCost } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  lastAxis,
  type DeviceTensor,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import logprobsSource from '../../shaders/sample_logprobs.wgsl?raw';
import pickSource from '../../shaders/sample_pick.wgsl?raw';
import scanSource from '../../shaders/sample_scan.wgsl?raw';
import { reduceLibrary, workgroupFor } from './variants.ts';

const scan = defineKernel({
  name: 'sample_scan',
  source: scanSource,
  bindings: {
    logits: 'read',
    rows: 'read',
    biasTokens: 'read',
    biasValues: 'read',
    history: 'read',
    z: 'write',
    partials: 'write',
  },
});

const pick = defineKernel({
  name: 'sample_pick',
  source: pickSource,
  bindings: {
    z: 'read',
    partials: 'read',
    rows: 'read',
    results: 'write',
    history: 'update',
    lastTokens: 'update',
  },
});

const logprobs = defineKernel({
  name: 'sample_logprobs',
  source: logprobsSource,
  bindings: { logits: 'read', partials: 'read', rows: 'read', results: 'update' },
});

/** Most alternatives a row can ask log-probabilities of. */
export const MAX_TOP_LOGPROBS = 20;

/** Words of one row's parameters in step state. Layout: shaders/lib/sample_row.wgsl. */
export const SAMPLE_ROW_WORDS = 16;

/** Words of one row's results: token, log-probability, and as many pairs of the same as can be asked for. */
export const SAMPLE_RESULT_WORDS: number = 2 + 2 * MAX_TOP_LOGPROBS;

/** Bit of a history word that says the token is in the prompt; the lower bits count how often it was generated. */
export const HISTORY_PROMPT = 0x80000000;

/** Tokens of the vocabulary each thread of the scan handles. */
const TOKENS_PER_THREAD = 8;

/** How one row's next token is chosen. The steps apply in this order; values are those of the OpenAI API. */
export interface SampleParams {
  /**
   * Row of `history` and place in `lastTokens` that belong to the request. No two rows of a step share one. Past the rows
   * of `history` only for rows that keep none.
   */
  readonly slot: number;
  /** > 0, 1 = off; divides (or multiplies, if negative) logits of tokens in the prompt or generated. */
  readonly repetitionPenalty: number;
  /** 0 = off; subtracted once for each time a token was generated. */
  readonly frequencyPenalty: number;
  /** 0 = off; subtracted from tokens that were generated. */
  readonly presencePenalty: number;
  /** Range of the step's bias list that is this row's; its tokens are distinct. */
  readonly biasStart: number;
  readonly biasCount: number;
  /** ≥ 0, 0 = greedy: the most probable token, and no other parameter below matters. */
  readonly temperature: number;
  /** 0 = off; tokens as probable as the k-th are kept. */
  readonly topK: number;
  /** In [0, 1], 1 = off; of the distribution that top-k leaves, at least one token. */
  readonly topP: number;
  /** In [0, 1], 0 = off; relative to the most probable token. */
  readonly minP: number;
  /** 64-bit seed as two unsigned words. */
  readonly seedLow: number;
  readonly seedHigh: number;
  /** Tokens the request generated before this one: the counter of its random numbers. */
  readonly position: number;
  readonly wantsLogprobs: boolean;
  /** Alternatives to report, at most {@link MAX_TOP_LOGPROBS}; needs `wantsLogprobs`. */
  readonly topLogprobs: number;
  /** Reads and updates the slot's row of `history`; without it penalties have no effect. */
  readonly keepsHistory: boolean;
}

/** Step state the sampler reads. */
export interface SampleState {
  /** u32 [maxSamples, SAMPLE_ROW_WORDS], written by {@link encodeSampleRow} */
  readonly rows: DeviceTensor;
  /** u32 [maxBias]: tokens of all rows' logit biases */
  readonly biasTokens: DeviceTensor;
  /** f32 [maxBias] */
  readonly biasValues: DeviceTensor;
}

/** What the sampler keeps on the GPU from step to step. */
export interface SampleMemory {
  /** u32 [slots, vocab]: bit {@link HISTORY_PROMPT}, and times generated */
  readonly history: DeviceTensor;
  /** u32 [at least slots]: the token last sampled, where the next step's embedding reads it */
  readonly lastTokens: DeviceTensor;
}

/** One row of the sampler's results. */
export interface SampleResult {
  readonly token: number;
  /** Natural logarithm of the token's probability by the model alone; 0 if it was not asked for. */
  readonly logprob: number;
  /** The most probable tokens, most probable first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/**
 * Writes one row of `SampleState.rows`.
 *
 * @param words - the region as u32; @param floats - the same memory as f32
 */
export function encodeSampleRow(
  words: Uint32Array,
  floats: Float32Array,
  row: number,
  params: SampleParams,
): void {
  const at = row * SAMPLE_ROW_WORDS;
  words[at] = params.slot;
  floats[at + 1] = params.temperature;
  words[at + 2] = params.topK;
  floats[at + 3] = params.topP;
  floats[at + 4] = params.minP;
  floats[at + 5] = params.repetitionPenalty;
  floats[at + 6] = params.frequencyPenalty;
  floats[at + 7] = params.presencePenalty;
  words[at + 8] = params.seedLow;
  words[at + 9] = params.seedHigh;
  words[at + 10] = params.position;
  words[at + 11] = params.biasStart;
  words[at + 12] = params.biasCount;
  words[at + 13] = Math.min(params.topLogprobs, MAX_TOP_LOGPROBS);
  words[at + 14] = (params.wantsLogprobs ? 1 : 0) | (params.keepsHistory ? 2 : 0);
}

/**
 * Reads one row of what {@link sample} returns.
 *
 * @param results - bytes of the result tensor, from its first row
 * @param topCount - alternatives to read: no more than the row asked for, nor than there are tokens
 */
export function decodeSampleRow(results: ArrayBuffer, row: number, topCount: number): SampleResult {
  const view = new DataView(results, row * SAMPLE_RESULT_WORDS * 4);
  const pair = (i: number): { token: number; logprob: number } => ({
    token: view.getUint32(i * 8, true),
    logprob: view.getFloat32(i * 8 + 4, true),
  });
  return { ...pair(0), top: Array.from({ length: topCount }, (_, i) => pair(i + 1)) };
}

/**
 * Chooses the next token of each row on the GPU: penalties, logit bias, then the most probable token or a draw
 * by temperature, top-k, top-p and min-p. Writes it to `memory.lastTokens` and counts it in `memory.history`.
 *
 * The draw is a function of (seed, position, distribution) alone. Log-probabilities are made when the count
 * `candidates` of the step is as large as the rows, and left out when it is 0.
 *
 * @param logits - f32 [rows, vocab], finite; not changed
 * @returns u32 [rows, SAMPLE_RESULT_WORDS], for {@link decodeSampleRow}; sums accumulate in f32
 * @throws {ShapeError} if a shape does not fit `logits`
 */
export function sample(logits: Tensor, state: SampleState, memory: SampleMemory): Tensor {
  const vocab = lastAxis('sample: logits', logits);
  const samples = expectRows('sample: logits', logits, 'f32', vocab);
  const capacity = capacityOf(samples);
  checkState(state, capacity);
  checkMemory(memory, vocab);

  const { recorder } = logits;
  const { rows, biasTokens, biasValues } = state;
  const { history, lastTokens } = memory;
  const workgroup = workgroupFor(divCeil(vocab, TOKENS_PER_THREAD));
  const chunk = workgroup * TOKENS_PER_THREAD;
  const chunks = divCeil(vocab, chunk);
  const options = {
    slots: {
      VOCAB: vocab,
      CHUNK: chunk,
      WORKGROUP: workgroup,
      REDUCE: reduceLibrary(recorder.facts),
    },
  };

  const z = recorder.scratch('f32', [samples, divCeil(vocab, 4), 4]);
  const partials = recorder.scratch('f32', [samples, chunks, 4]);
  const results = recorder.scratch('u32', [samples, SAMPLE_RESULT_WORDS]);
  recorder.dispatch(scan, {
    ...options,
    bindings: { logits, rows, biasTokens, biasValues, history, z, partials },
    grid: [chunks, groupsOf(samples, 1)],
    cost: rowsCost(samples, { bytes: 8 * vocab }),
  });
  recorder.dispatch(pick, {
    ...options,
    bindings: { z, partials, rows, results, history, lastTokens },
    grid: [groupsOf(samples, 1)],
    cost: rowsCost(samples, { bytes: 16 * chunks }), // greedily; a draw reads z too
  });
  recorder.dispatch(logprobs, {
    ...options,
    bindings: { logits, partials, rows, results },
    grid: [groupsOf({ count: 'candidates', capacity }, 1)],
    cost: rowsCost(samples, { bytes: 4 * vocab }),
  });
  return results;
}

function checkMemory({ history, lastTokens }: SampleMemory, vocab: number): void {
  const slots = capacityOf(expectRows('sample: history', history, 'u32', vocab));
  const places = capacityOf(expectRows('sample: lastTokens', lastTokens, 'u32'));
  if (places < slots) {
    throw new ShapeError(`sample: lastTokens has ${places} ids, expected at least ${slots}`);
  }
}

function checkState(state: SampleState, samples: number): void {
  const rows = capacityOf(expectRows('sample: rows', state.rows, 'u32', SAMPLE_ROW_WORDS));
  if (rows < samples) {
    throw new ShapeError(`sample: rows has ${rows} rows, expected at least ${samples}`);
  }
  const biases = expectRows('sample: biasTokens', state.biasTokens, 'u32');
  expectShape('sample: biasValues', state.biasValues, 'f32', [capacityOf(biases)]);
}
