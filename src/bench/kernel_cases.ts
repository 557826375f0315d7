/** Operations of models, each by itself, to measure the kernels that run them. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Work } from '../gpu/cost.ts';
import type { Recorder } from '../gpu/recorder.ts';
import { NO_COUNTS, type DeviceTensor, type Dim, type Tensor } from '../gpu/tensor.ts';
import {
  attention,
  chooseAttention,
  splitLimits,
  type AttentionShape,
} from '../kernels/attention.ts';
import { manyCandidates } from '../kernels/attention_many.ts';
import { oneCandidates } from '../kernels/attention_one.ts';
import { loneStep } from '../kernels/attention_rehearsal.ts';
import {
  kvBytesPerPage,
  kvTensorShapes,
  paddedHeadDim,
  type KvDType,
} from '../kernels/kv_cache.ts';
import { matmul, matmulCandidates } from '../kernels/matmul.ts';
import { isQuantized, matrixBytes, type WeightForm } from '../kernels/matrix.ts';
import { rmsNorm } from '../kernels/rms_norm.ts';
import { encodeSampleRow, sample, SAMPLE_ROW_WORDS } from '../kernels/sample.ts';
import { divCeil } from '../util/arith.ts';
import { mapValues } from '../util/objects.ts';
import { formOf } from '../weights/forms.ts';
import type { SyntheticWeights } from '../weights/synthetic.ts';

/** Records an operation once. */
export type RecordCase = (recorder: Recorder, variant: string | undefined) => void;

/** An operation with its sizes. */
export interface KernelCase {
  readonly kernel: KernelClass;
  /** Its sizes in words, e.g. `q4 1536x576, 1 row`. */
  readonly label: string;
  readonly work: Work;
  /** Names of the ways to run it here, the one that is chosen unmeasured first; none if there is no choice. */
  readonly variants: (facts: DeviceFacts) => readonly string[];
  /** What its weights are stored in, if it has any. */
  readonly form?: WeightForm;
  /** Bytes that {@link allocate} takes each time, about. */
  readonly ownBytes: number;
  /** Allocates what the operation works on: anew each time, so that caches do not hold it already. */
  readonly allocate: (memory: SyntheticWeights) => RecordCase;
}

export const KERNEL_CLASSES = ['matmul', 'attention', 'rms_norm', 'sample'] as const;
export type KernelClass = (typeof KERNEL_CLASSES)[number];

/** A weight matrix by its sizes. */
export interface MatrixSize {
  readonly outputs: number;
  readonly inputs: number;
}

/** What a decoder's operations have for sizes. */
export interface CaseSizes {
  readonly matrices: readonly MatrixSize[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly dim: number;
  readonly vocab: number;
}

export interface CaseOptions {
  /** Of the device that is measured. */
  readonly facts: DeviceFacts;
  readonly forms: readonly WeightForm[];
  /** Rows that matrices are multiplied with. */
  readonly rows: readonly number[];
  /** Keys that attention sees. */
  readonly lengths: readonly number[];
  readonly kvDtype: KvDType;
}

/** The operations of a class with the sizes of a model. */
export function kernelCases(
  kernel: KernelClass,
  sizes: CaseSizes,
  { facts, forms, rows, lengths, kvDtype }: CaseOptions,
): readonly KernelCase[] {
  switch (kernel) {
    case 'matmul':
      return forms.flatMap((form) =>
        sizes.matrices.flatMap((size) => rows.map((count) => matmulCase(form, size, count))),
      );
    case 'attention':
      return lengths.flatMap((keys) => [
        attentionCase(facts, sizes, { keys, queries: 1, kvDtype }),
        attentionCase(facts, sizes, { keys, queries: Math.min(keys, 256), kvDtype }),
      ]);
    case 'rms_norm':
      return rows.map((count) => normCase(sizes.dim, count));
    case 'sample':
      return [sampleCase(sizes.vocab, 0), sampleCase(sizes.vocab, 40)];
  }
}

/** y = x · wᵀ */
function matmulCase(wanted: WeightForm, { outputs, inputs }: MatrixSize, rows: number): KernelCase {
  // As asked for, however small.
  const size = { rows: Infinity, cols: inputs };
  const form = isQuantized(wanted) ? formOf(wanted, 'inner', 'f16', size) : wanted;
  const shape = { rows, cols: inputs, outputs, form, isWhole: true };
  return {
    kernel: 'matmul',
    label: `${form} ${outputs}x${inputs}, ${rows} ${rows === 1 ? 'row' : 'rows'}`,
    work: workOf({ tokens: rows }),
    variants: (facts) => matmulCandidates(facts, shape),
    form,
    ownBytes: matrixBytes(form, outputs, inputs),
    allocate(memory) {
      const x = memory.random('x', 'f32', [rows, inputs]);
      const weight = memory.matrix([{ name: 'weight', rows: outputs }], inputs);
      return (recorder, variant) => {
        matmul(perToken(recorder, x, rows), weight, { variant });
      };
    },
  };
}

/** Attention of the last `queries` of `keys` tokens of one sequence. */
function attentionCase(
  facts: DeviceFacts,
  { heads, kvHeads, headDim }: CaseSizes,
  {
    keys,
    queries,
    kvDtype,
  }: { readonly keys: number; readonly queries: number; readonly kvDtype: KvDType },
): KernelCase {
  const pageSize = 16;
  const isDecode = queries === 1;
  const cache = { kvHeads, headDim, pageSize, dtype: kvDtype };
  const shape = { heads, kvHeads, headDim, kv: kvDtype };
  const limits = splitLimits(facts, 1);
  const tableWidth = divCeil(keys, pageSize);
  const step = loneStep(shape, { keys, queries, pageSize, tableWidth }, limits);
  const stored = kvTensorShapes(step.pages, cache);
  return {
    kernel: 'attention',
    label: `${kvDtype} ${heads}/${kvHeads} heads of ${headDim}, ${keys} keys, ${queries} ${isDecode ? 'query' : 'queries'}`,
    work: workOf(step.counts, keys, queries * keys - (queries * (queries - 1)) / 2),
    variants: () => attentionVariants(facts, shape, isDecode),
    ownBytes: kvBytesPerPage(cache) * step.pages,
    allocate(memory) {
      const state = mapValues(step.state, (numbers) =>
        words(memory, numbers.shape, Uint32Array.from(numbers.words)),
      );
      const x = memory.random('queries', 'f32', [queries, heads * paddedHeadDim(headDim)]);
      const layer = {
        ...cache,
        pages: step.pages,
        keys: memory.random('keys', stored.dtype, stored.keys),
        values: memory.random('values', stored.dtype, stored.values),
      };
      return (recorder, name) => {
        const variant = chooseAttention(facts, shape, name);
        const { maxSplits } = limits;
        const options = { heads, scale: headDim ** -0.5, variant, maxSplits };
        attention(perToken(recorder, x, queries), state, layer, options);
      };
    },
  };
}

/** Names of the ways to run attention of one query, or of many; the one that is chosen first. */
function attentionVariants(
  facts: DeviceFacts,
  shape: AttentionShape,
  isDecode: boolean,
): readonly string[] {
  const chosen = chooseAttention(facts, shape);
  if (chosen === 'direct') return [chosen];
  const names = isDecode ? oneCandidates(facts) : manyCandidates(facts, shape);
  return [...new Set<string>([isDecode ? chosen.one : chosen.many, ...names, 'direct'])];
}

function normCase(dim: number, rows: number): KernelCase {
  return {
    kernel: 'rms_norm',
    label: `${rows} x ${dim}`,
    work: workOf({ tokens: rows }),
    variants: () => [],
    ownBytes: 4 * rows * dim,
    allocate(memory) {
      const x = memory.random('x', 'f32', [rows, dim]);
      const weight = memory.vector([{ name: 'weight', rows: dim }]);
      return (recorder) => {
        rmsNorm(perToken(recorder, x, rows), weight, 1e-5);
      };
    },
  };
}

/** @param topK - 0: greedy */
function sampleCase(vocab: number, topK: number): KernelCase {
  return {
    kernel: 'sample',
    label: topK === 0 ? `${vocab} greedily` : `top ${topK} of ${vocab}`,
    work: workOf({ tokens: 1, samples: 1 }),
    variants: () => [],
    ownBytes: 4 * vocab,
    allocate(memory) {
      const row = new Uint32Array(SAMPLE_ROW_WORDS);
      encodeSampleRow(row, new Float32Array(row.buffer), 0, {
        slot: 0,
        temperature: topK === 0 ? 0 : 1,
        topK,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        seedLow: 1,
        seedHigh: 2,
        position: 0,
        biasStart: 0,
        biasCount: 0,
        topLogprobs: 0,
        wantsLogprobs: false,
        keepsHistory: false,
      });
      const rows = words(memory, [1, SAMPLE_ROW_WORDS], row);
      const biasTokens = words(memory, [1], new Uint32Array(1));
      const biasValues = memory.random('biases', 'f32', [1]);
      const history = words(memory, [1, vocab], new Uint32Array(vocab));
      const lastTokens = words(memory, [1], new Uint32Array(1));
      const logits = memory.random('logits', 'f32', [1, vocab]);
      const extent: Dim = { count: 'samples', capacity: 1 };
      return (recorder) => {
        const tensor = { ...recorder.tensor(logits), shape: [extent, vocab] };
        sample(tensor, { rows, biasTokens, biasValues }, { history, lastTokens });
      };
    },
  };
}

function workOf(counts: Partial<Work['counts']>, kvTokens = 0, pairs = 0): Work {
  return { counts: { ...NO_COUNTS, ...counts }, kvTokens, pairs };
}

/** Memory whose rows are the tokens of the step. */
function perToken(recorder: Recorder, tensor: DeviceTensor, rows: number): Tensor {
  const tokens: Dim = { count: 'tokens', capacity: rows };
  return { ...recorder.tensor(tensor), shape: [tokens, ...tensor.shape.slice(1)] };
}

function words(
  memory: SyntheticWeights,
  shape: readonly number[],
  values: Uint32Array,
): DeviceTensor {
  return { ...memory.constant('bench input', values), shape };
}
