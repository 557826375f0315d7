/**
 * What the self-test runs: each operation that has variants, once, small, on sizes that leave remainders everywhere.
 *
 * @module
 */
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Dim, Tensor } from '../gpu/tensor.ts';
import type { KvDType } from './kv_cache.ts';
import { chooseMatmul, FEW_ROWS, matmul, MATMUL_VARIANTS, matmulCandidates } from './matmul.ts';
import type { MatmulOptions, MatmulShape } from './matmul_call.ts';
import { isQuantized, QUANT_GROUP, type WeightForm } from './matrix.ts';
import { rmsNorm } from './rms_norm.ts';
import {
  decodeSampleRow,
  encodeSampleRow,
  HISTORY_PROMPT,
  sample,
  SAMPLE_ROW_WORDS,
  type SampleParams,
} from './sample.ts';
import { causalAttentionCase, encoderAttentionCase } from './self_test_attention.ts';
import { countsOf, floats, reduceVariant, type SelfTestCase } from './self_test_case.ts';
import { disentangledCase } from './self_test_disentangled.ts';
import { random, uploadNumbers, uploadWeight, uploadWords } from './self_test_data.ts';

/** What a model does: continue a text, look at all of one, tell tokens apart by their distance as DeBERTa does. */
export const MODEL_TASKS = ['decode', 'encode', 'distances'] as const;
export type ModelTask = (typeof MODEL_TASKS)[number];

/** What a model uses: what is not used need not be checked. */
export interface ModelNeeds {
  readonly weights: readonly WeightForm[];
  readonly kv: KvDType;
  readonly tasks: readonly ModelTask[];
}

/**
 * Libraries before the kernels that include them, so that the blame falls on the right one. For the same reason many rows
 * come first: without a library they are left to the kernel that includes it, fewer rows may be left to another.
 */
export function selfTestCases({ weights, kv, tasks }: ModelNeeds): readonly SelfTestCase[] {
  const decodes = tasks.includes('decode');
  return [
    normCase(),
    ...(decodes ? [sampleCase()] : []),
    ...weights.flatMap((form) => [
      ...matmulCases('many rows', form, 67, 70),
      ...matmulCases('few rows', form, 5, FEW_ROWS),
      ...matmulCases('one row', form, 1, 1),
      ...(isQuantized(form) ? [integersCase(form)] : []),
    ]),
    ...(decodes ? [causalAttentionCase(kv)] : []),
    ...(tasks.includes('encode') ? [encoderAttentionCase()] : []),
    ...(tasks.includes('distances') ? [disentangledCase()] : []),
  ];
}

/** Of a sum over 256 threads: a few terms in each, then two rounds of 16; see shaders/lib/reduce_tree.wgsl. */
const REDUCE_DEPTH = 48;

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

/** Sizes of a weight. */
type WeightSize = Pick<MatmulShape, 'cols' | 'outputs'>;
/** Of those that are multiplied by: they leave remainders. */
const TRIED: WeightSize = { cols: 288, outputs: 67 };
/** For which GPUs choose variants with more threads to a row, and larger tiles. */
const LARGE: WeightSize = { cols: 4096, outputs: 4096 };

/** A multiplication as it is done with small weights, and as with large ones where that is another variant. */
function matmulCases(
  what: string,
  form: WeightForm,
  rows: number,
  capacity: number,
): readonly SelfTestCase[] {
  const chosenFor = (size: WeightSize, facts: DeviceFacts): string =>
    chooseMatmul(facts, { ...size, rows: capacity, form, isWhole: true });
  const asLarge = (facts: DeviceFacts): string | undefined => {
    const name = chosenFor(LARGE, facts);
    return name === chosenFor(TRIED, facts) ? undefined : name;
  };
  return [
    matmulCase(what, form, rows, capacity, (facts) => chosenFor(TRIED, facts)),
    matmulCase(`${what} as of large weights`, form, rows, capacity, asLarge),
  ];
}

/**
 * y = x · wᵀ + bias + residual of `rows` rows, in a recording that is made for more.
 *
 * @param variantOn - name of the variant on a device with these facts; undefined if there is nothing to try
 */
function matmulCase(
  what: string,
  form: WeightForm,
  rows: number,
  capacity: number,
  variantOn: (facts: DeviceFacts) => string | undefined,
): SelfTestCase {
  const { cols: inputs, outputs } = TRIED;
  const extent: Dim = { count: 'tokens', capacity };
  return {
    name: `matmul, ${what}, ${form}`,
    variants(facts) {
      const { kernel, library } = MATMUL_VARIANTS[variantOn(facts) ?? ''] ?? {};
      return [
        ...(kernel?.startsWith('matmul_few') === true ? reduceVariant(facts) : []),
        ...(library === undefined ? [] : [library]),
        ...(kernel === undefined || kernel === 'matmul_plain' ? [] : [kernel]),
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
      const bias = uploadNumbers(device, [outputs], random(outputs, 4));
      const variant = variantOn(recorder.facts);
      const options: MatmulOptions = { bias, residual: perRow(outputs, 5), variant };
      return matmul(perRow(inputs, 6), uploadWeight(device, form, outputs, inputs, 3), options);
    },
    read: (bytes) => floats(bytes.slice(0, 4 * rows * outputs)),
  };
}

/** The multiplication in integers, of rows that 8-bit integers hold exactly, so that it must agree like the others. */
function integersCase(form: WeightForm): SelfTestCase {
  const [rows, inputs, outputs] = [2, 288, 67];
  const shape = { rows, cols: inputs, outputs, form, isWhole: true };
  const variantOn = (facts: DeviceFacts): string | undefined =>
    matmulCandidates(facts, shape).find(
      (name) => MATMUL_VARIANTS[name]?.kernel === 'matmul_few_dot4',
    );
  return {
    name: `matmul, integers, ${form}`,
    variants: (facts) =>
      variantOn(facts) === undefined ? [] : [...reduceVariant(facts), 'matmul_few_dot4'],
    steps: [countsOf({})],
    depth: inputs,
    record(recorder) {
      const { device, facts } = recorder;
      // Of every group one element is the largest that there is, so the group's scale is 2^-7.
      const values = random(rows * inputs, 6).map((value, i) =>
        i % QUANT_GROUP === 5 ? 127 / 128 : Math.round(value * 127) / 128,
      );
      const x = recorder.tensor(uploadNumbers(device, [rows, inputs], values));
      const weight = uploadWeight(device, form, outputs, inputs, 3);
      return matmul(x, weight, { variant: variantOn(facts) });
    },
    read: floats,
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
