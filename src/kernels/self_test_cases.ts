/**
 * What the self-test runs: each operation that has variants, once, small, on sizes that leave remainders everywhere.
 *
 * @module
 */
import type { Device, DeviceFacts } from '../gpu/device.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { Counts, DeviceTensor, Dim, Tensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { attention, attentionTileRows, chooseAttention, type AttentionState } from './attention.ts';
import { createKvLayer, paddedHeadDim, type KvDType } from './kv_cache.ts';
import { chooseMatmul, FEW_ROWS, matmul, type MatmulVariant } from './matmul.ts';
import type { Matrix } from './matrix.ts';
import { rmsNorm } from './rms_norm.ts';
import {
  decodeSampleRow,
  encodeSampleRow,
  HISTORY_PROMPT,
  sample,
  SAMPLE_ROW_WORDS,
  type SampleParams,
} from './sample.ts';
import { random, uploadNumbers, uploadStored, uploadWords } from './self_test_data.ts';
import { readsNativeF16, reducesBySubgroup, type Variant } from './variants.ts';

/** An operation whose result must not depend on the variants that compute it. */
export interface SelfTestCase {
  readonly name: string;
  /** Variants that a device with these facts would run it with, a kernel after the libraries it includes. */
  readonly variants: (facts: DeviceFacts) => readonly Variant[];
  /** Steps to run, one after another. */
  readonly steps: readonly Counts[];
  readonly record: (recorder: Recorder) => Tensor;
  /** The numbers that a step leaves in the recorded tensor, in parts that are each of one magnitude. */
  readonly read: (bytes: ArrayBuffer) => readonly (readonly number[])[];
  /** Additions in a row that the plain kernel makes. */
  readonly depth: number;
}

/** Storage types that a model uses: what is not used need not be checked. */
export interface StorageTypes {
  readonly weights: readonly Matrix['dtype'][];
  readonly kv: KvDType;
}

/** Libraries before the kernels that include them, so that the blame falls on the right one. */
export function selfTestCases({ weights, kv }: StorageTypes): readonly SelfTestCase[] {
  return [
    normCase(),
    sampleCase(),
    ...weights.flatMap((dtype) => [
      matmulCase('element by element', dtype, 5, FEW_ROWS, 'plain'),
      matmulCase('few rows', dtype, 5, FEW_ROWS),
      matmulCase('many rows', dtype, 67, 70),
    ]),
    attentionCase(kv),
  ];
}

/** Counts of a step, those not given being 0. */
function countsOf(counts: Partial<Counts>): Counts {
  const none = { tokens: 0, decodes: 0, samples: 0, tiles: 0, splits: 0, combines: 0 };
  return { ...none, candidates: 0, ...counts };
}

function floats(bytes: ArrayBuffer): readonly (readonly number[])[] {
  return [[...new Float32Array(bytes)]];
}

/** Of a sum over 256 threads: a few terms in each, then two rounds of 16; see shaders/lib/reduce_tree.wgsl. */
const REDUCE_DEPTH = 48;

function reduceVariant(facts: DeviceFacts): readonly Variant[] {
  return reducesBySubgroup(facts) ? ['reduce_subgroup'] : [];
}

function normCase(): SelfTestCase {
  const dim = 1031;
  return {
    name: 'rms_norm',
    variants: reduceVariant,
    steps: [countsOf({})],
    depth: REDUCE_DEPTH,
    record(recorder) {
      const { device } = recorder;
      const x = uploadNumbers(device, [3, dim], random(3 * dim, 1));
      return rmsNorm(recorder.tensor(x), uploadNumbers(device, [dim], random(dim, 2)), 1e-6);
    },
    read: floats,
  };
}

/** y = x · wᵀ + bias + residual of `rows` rows, in a recording that is made for more. */
function matmulCase(
  what: string,
  dtype: Matrix['dtype'],
  rows: number,
  capacity: number,
  variant?: MatmulVariant,
): SelfTestCase {
  const [inputs, outputs] = [276, 67];
  const extent: Dim = { count: 'tokens', capacity };
  return {
    name: `matmul, ${what}, ${dtype}`,
    variants(facts) {
      const kernel = variant ?? chooseMatmul(facts, extent, inputs);
      return [
        ...(kernel === 'few' ? reduceVariant(facts) : []),
        ...(dtype === 'f16' && readsNativeF16(facts) ? (['weight_f16_native'] as const) : []),
        ...(kernel === 'plain' ? [] : ([`matmul_${kernel}`] as const)),
      ];
    },
    steps: [countsOf({ tokens: rows })],
    depth: inputs,
    record(recorder) {
      const { device } = recorder;
      const perRow = (size: number, seed: number): Tensor => ({
        ...recorder.tensor(uploadNumbers(device, [capacity, size], random(capacity * size, seed))),
        shape: [extent, size],
      });
      const tensor = uploadStored(device, dtype, [outputs, inputs], 3);
      const weight = {
        rows: outputs,
        cols: inputs,
        dtype,
        shards: [{ firstRow: 0, rows: outputs, tensor }],
      };
      const bias = uploadNumbers(device, [outputs], random(outputs, 4));
      const options = { bias, residual: perRow(outputs, 5), ...(variant && { variant }) };
      return matmul(perRow(inputs, 6), weight, options);
    },
    read: (bytes) => floats(bytes.slice(0, 4 * rows * outputs)),
  };
}

/** Queries and keys, those of the step included, of the sequences that attention is tried on. */
const SEQUENCES = [
  [1, 300],
  [1, 1],
  [1, 33],
  [41, 57],
  [2, 130],
] as const;

/** Grouped heads whose size is no multiple of 4, pages in disorder, keys in one piece and in several. */
function attentionCase(dtype: KvDType): SelfTestCase {
  const [heads, kvHeads, headDim, pageSize] = [6, 2, 42, 16];
  const maxSplits = 4;
  const tokens = SEQUENCES.reduce((sum, [queries]) => sum + queries, 0);
  const decodes = SEQUENCES.filter(([queries]) => queries === 1).length;
  const tiles = attentionTiles(heads / kvHeads, headDim);
  const step = { tokens, decodes, tiles: tiles.length / 2 };
  return {
    name: `attention, ${dtype}`,
    variants: (facts) =>
      chooseAttention(facts) === 'tiled' ? [...reduceVariant(facts), 'attention_tiled'] : [],
    steps: [countsOf({ ...step, splits: 1 }), countsOf({ ...step, splits: 3, combines: decodes })],
    depth: Math.max(...SEQUENCES.map(([, keys]) => keys)),
    record(recorder) {
      const { device } = recorder;
      const { state, pages } = attentionState(device, pageSize, tiles);
      const kv = createKvLayer(device, pages, { kvHeads, headDim, pageSize, dtype });
      const filled = {
        ...kv,
        keys: uploadStored(device, dtype, kv.keys.shape.map(Number), 7),
        values: uploadStored(device, dtype, kv.values.shape.map(Number), 8),
      };
      const size = heads * paddedHeadDim(headDim);
      const queries = uploadNumbers(device, [tokens, size], random(tokens * size, 9));
      const scale = 2 / Math.sqrt(headDim);
      const options = { heads, scale, maxSplits };
      return attention(recorder.tensor(queries), state, filled, options);
    },
    read: floats,
  };
}

/** Sequence and first packed row of each tile; see AttentionState. */
function attentionTiles(group: number, headDim: number): readonly number[] {
  const tileRows = attentionTileRows(headDim);
  return SEQUENCES.flatMap(([queries], sequence) =>
    queries === 1
      ? []
      : Array.from({ length: divCeil(queries * group, tileRows) }, (_, i) => [
          sequence,
          i * tileRows,
        ]).flat(),
  );
}

function attentionState(
  device: Device,
  pageSize: number,
  tiles: readonly number[],
): { readonly state: AttentionState; readonly pages: number } {
  const width = Math.max(...SEQUENCES.map(([, keys]) => divCeil(keys, pageSize)));
  const pages = SEQUENCES.length * width;
  let first = 0;
  const sequences = SEQUENCES.flatMap(([queries, keys]) => {
    first += queries;
    return [first - queries, queries, keys, 0];
  });
  const words = (shape: readonly number[], values: Iterable<number>): DeviceTensor =>
    uploadWords(device, shape, Uint32Array.from(values));
  const positions = SEQUENCES.flatMap(([queries, keys]) =>
    Array.from({ length: queries }, (_, i) => keys - queries + i),
  );
  const sequenceOf = SEQUENCES.flatMap(([queries], i) => Array.from({ length: queries }, () => i));
  return {
    state: {
      positions: words([positions.length], positions),
      sequenceOf: words([sequenceOf.length], sequenceOf),
      sequences: words([SEQUENCES.length, 4], sequences),
      // 7 has no divisor in common with the number of pages, so this is each page once.
      tables: words(
        [SEQUENCES.length, width],
        Array.from({ length: pages }, (_, i) => (i * 7) % pages),
      ),
      tiles: words([tiles.length / 2, 2], tiles),
    },
    pages,
  };
}

/**
 * Greedy after penalties, and draws from a few tokens that are about as probable as all others: one too many or too few
 * is likely to change the draw.
 */
const SAMPLERS: readonly Partial<SampleParams>[] = [
  { repetitionPenalty: 1.3, frequencyPenalty: 0.2, keepsHistory: true },
  { temperature: 200, topK: 20 },
  { temperature: 200, topP: 0.02, biasCount: 1 },
];

function sampleCase(): SelfTestCase {
  const vocab = 1103;
  const rows = SAMPLERS.length;
  const tops = 5;
  return {
    name: 'sample',
    variants: reduceVariant,
    steps: [countsOf({ samples: rows, candidates: rows })],
    depth: REDUCE_DEPTH,
    record(recorder) {
      const { device } = recorder;
      const words = new Uint32Array(rows * SAMPLE_ROW_WORDS);
      for (const [row, params] of SAMPLERS.entries()) {
        encodeSampleRow(words, new Float32Array(words.buffer), row, {
          slot: row,
          repetitionPenalty: 1,
          frequencyPenalty: 0,
          presencePenalty: 0,
          biasStart: 0,
          biasCount: 0,
          temperature: 0,
          topK: 0,
          topP: 1,
          minP: 0,
          seedLow: 10,
          seedHigh: 11,
          position: row,
          wantsLogprobs: true,
          topLogprobs: tops,
          keepsHistory: false,
          ...params,
        });
      }
      const history = Uint32Array.from(random(rows * vocab, 12), (value) =>
        value > 0.9 ? HISTORY_PROMPT + 1 : 0,
      );
      const logits = random(rows * vocab, 13).map((value) => 8 * value);
      const extent: Dim = { count: 'samples', capacity: rows };
      const uploaded = recorder.tensor(uploadNumbers(device, [rows, vocab], logits));
      return sample(
        { ...uploaded, shape: [extent, vocab] },
        {
          rows: uploadWords(device, [rows, SAMPLE_ROW_WORDS], words),
          biasTokens: uploadWords(device, [1], Uint32Array.of(77)),
          biasValues: uploadNumbers(device, [1], Float32Array.of(9)),
        },
        {
          history: uploadWords(device, [rows, vocab], history),
          lastTokens: uploadWords(device, [rows], new Uint32Array(rows)),
        },
      );
    },
    read(bytes) {
      const all = SAMPLERS.flatMap((_, row) => {
        const result = decodeSampleRow(bytes, row, tops);
        return [result, ...result.top];
      });
      return [all.map(({ token }) => token), all.map(({ logprob }) => logprob)];
    },
  };
}
