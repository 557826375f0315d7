import type { Device } from '../../src/gpu/device.ts';
import type { Bindings, Kernel } from '../../src/gpu/kernel.ts';
import { Recorder, type Call } from '../../src/gpu/recorder.ts';
import { StateBuffer } from '../../src/gpu/state_buffer.ts';
import type { CountName, DeviceTensor, Tensor } from '../../src/gpu/tensor.ts';
import { ACTIVATIONS, activate } from '../../src/kernels/activation.ts';
import {
  attention,
  MANY_VARIANTS,
  ONE_VARIANTS,
  type AttentionState,
} from '../../src/kernels/attention.ts';
import { suits } from '../../src/kernels/attention_many.ts';
import { suitsOne } from '../../src/kernels/attention_one.ts';
import { beamCandidates, BEAM_ROW_WORDS } from '../../src/kernels/beam_candidates.ts';
import { disentangledAttention } from '../../src/kernels/disentangled_attention.ts';
import { convertWeights } from '../../src/kernels/convert_weights.ts';
import { embedding } from '../../src/kernels/embedding.ts';
import { expertMatmul } from '../../src/kernels/expert_matmul.ts';
import { fillRandom } from '../../src/kernels/fill_random.ts';
import { gatedActivation } from '../../src/kernels/gated_activation.ts';
import { gatherRows } from '../../src/kernels/gather_rows.ts';
import { copyPages } from '../../src/kernels/copy_pages.ts';
import { createKvLayer, KV_DTYPES } from '../../src/kernels/kv_cache.ts';
import { addLayerNorm, layerNorm } from '../../src/kernels/layer_norm.ts';
import { matmul, MATMUL_VARIANTS } from '../../src/kernels/matmul.ts';
import { shapeOf } from '../../src/kernels/matmul_call.ts';
import { FEW_VARIANTS } from '../../src/kernels/matmul_few.ts';
import { TILE_VARIANTS } from '../../src/kernels/matmul_tile.ts';
import {
  isQuantized,
  matrixBytes,
  QUANT_GROUP,
  WEIGHT_FORMS,
  type Matrix,
  type WeightForm,
} from '../../src/kernels/matrix.ts';
import { measureEmpty, measureFma, measureRead } from '../../src/kernels/measure.ts';
import { meanRows } from '../../src/kernels/pool_rows.ts';
import { positionEmbedding } from '../../src/kernels/position_embedding.ts';
import { rmsNorm } from '../../src/kernels/rms_norm.ts';
import { padHeads } from '../../src/kernels/pad_heads.ts';
import { appendKv, ropeAppend } from '../../src/kernels/rope_append.ts';
import { route } from '../../src/kernels/route.ts';
import { sample, SAMPLE_ROW_WORDS } from '../../src/kernels/sample.ts';
import { unfoldRows } from '../../src/kernels/unfold_rows.ts';

/** Subgroups of one size, with matrices, for the kernels that are written for them. */
const SUBGROUPS = {
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrix: { m: 8, n: 8, k: 8 },
};

/** Records operations on tensors that hold nothing in particular, and remembers the kernels they use. */
export class CollectingRecorder extends Recorder {
  readonly kernels: Kernel[] = [];

  constructor(device: Device) {
    const { counts } = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } }).regions;
    super(device, counts.tensor, { ...device.facts, ...(device.facts.hasSubgroups && SUBGROUPS) });
  }

  override dispatch<const B extends Bindings>(kernel: Kernel<B>, call: Call<B>): void {
    this.kernels.push(kernel);
    super.dispatch(kernel, call);
  }
}

/** Most tokens and sequences of the recorded steps. */
const TOKENS = 40;
const SEQUENCES = 5;

/**
 * Every operation of `src/kernels`, recorded with shapes, dtypes and options that between them reach every kernel
 * and every variant that its launcher chooses from.
 */
export const EVERY_OP: Readonly<Record<string, (recorder: Recorder) => void>> = {
  embedding(r) {
    for (const dtype of WEIGHT_FORMS) {
      for (const cols of [5, 64, 300]) {
        const [tokens, lastTokens] = [rows(r, 'u32'), fixed(r, 'u32', [4])];
        const table = matrix(r, dtype, 96, cols);
        embedding(tokens, lastTokens, table);
        const x = embedding(tokens, lastTokens, table, { scale: 8, add: rows(r, 'f32', cols) });
        const ids = { tokens, lastTokens, positionIds: rows(r, 'u32') };
        positionEmbedding(x, ids, table, { offset: 0 });
        positionEmbedding(x, ids, table, { offset: 2, uncountedId: 1, uncountedRow: 1 });
      }
    }
  },
  convertWeights(r) {
    const [order, fault] = [fixed(r, 'u32', [4]), fixed(r, 'u32', [1])];
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      const memory = { order, source: fixed(r, dtype, [192]), fault };
      for (const form of ['f16', 'q8', 'q4'] as const) {
        for (const shard of matrix(r, form, 3, 64).shards) {
          convertWeights(r, form, memory, 6, shard);
        }
      }
    }
  },
  fillRandom(r) {
    fillRandom(r, fixed(r, 'u32', [4]), fixed(r, 'f16', [3, 7]));
  },
  measure(r) {
    measureRead(r, fixed(r, 'f32', [256 * 16]), 256);
    for (const type of ['f32', 'f16'] as const) {
      if (type === 'f16' && !r.facts.hasF16) continue;
      measureFma(r, fixed(r, 'u32', [4]), { type, rounds: 1, threads: 256 });
    }
    measureEmpty(r, fixed(r, 'u32', [1]));
  },
  gatherRows(r) {
    for (const dim of [1, 64, 1031]) gatherRows(rows(r, 'f32', dim), rows(r, 'u32'));
  },
  gatedActivation(r) {
    for (const activation of ACTIVATIONS) gatedActivation(rows(r, 'f32', 134), activation);
  },
  activate(r) {
    for (const activation of ACTIVATIONS) activate(rows(r, 'f32', 67), activation);
  },
  rmsNorm(r) {
    for (const dim of [5, 64, 100, 1031]) {
      const x = rows(r, 'f32', dim);
      rmsNorm(x, fixed(r, 'f32', [dim]), 1e-6);
    }
  },
  layerNorm(r) {
    for (const dim of [1, 64, 100, 1031]) {
      const x = rows(r, 'f32', dim);
      layerNorm(x, fixed(r, 'f32', [dim]), undefined, 1e-12);
      const bias = fixed(r, 'f32', [dim]);
      addLayerNorm(x, rows(r, 'f32', dim), fixed(r, 'f32', [dim]), bias, 1e-5);
    }
  },
  meanRows(r) {
    const samples = { count: 'samples', capacity: SEQUENCES } as const;
    for (const dim of [1, 45, 64]) {
      meanRows(rows(r, 'f32', dim), fixed(r, 'u32', [SEQUENCES, 4]), samples);
    }
  },
  unfoldRows(r) {
    for (const dim of [1, 45, 64]) unfoldRows(rows(r, 'f32', dim), stepState(r), 3);
  },
  experts(r) {
    for (const capacity of [3, undefined]) {
      const { experts, weights } = route(rows(r, 'f32', 7), stepState(r), { capacity });
      for (const dtype of WEIGHT_FORMS) {
        const x = rows(r, 'f32', 50);
        const weight = matrix(r, dtype, 7 * 31, 50, 40);
        expertMatmul(x, weight, experts, { experts: 7 });
        const residual = rows(r, 'f32', 31);
        const more = { activation: 'relu', rowScale: weights, residual } as const;
        expertMatmul(x, weight, experts, { experts: 7, ...more });
      }
    }
  },
  matmul(r) {
    const shapes: readonly (readonly [string, number, number, number])[] = [
      ['plain', 3, 96, 31],
      ...Object.keys(FEW_VARIANTS).flatMap((name) => [
        [name, 1, 64, 97] as const,
        [name, 8, 160, 67] as const,
      ]),
      ...Object.keys(TILE_VARIANTS).map((name) => [name, TOKENS, 32, 129] as const),
    ];
    for (const [variant, capacity, inputs, outputs] of shapes) {
      for (const form of WEIGHT_FORMS) {
        const weight = matrix(r, form, outputs, inputs, 40);
        const shape = shapeOf(capacity, weight);
        if (MATMUL_VARIANTS[variant]?.suits(r.facts, shape) !== true) continue;
        const x = rows(r, 'f32', inputs, capacity);
        matmul(x, weight, { variant });
        const bias = fixed(r, 'f32', [outputs]);
        matmul(x, weight, { variant, bias, residual: rows(r, 'f32', outputs, capacity) });
        matmul(x, weight, { variant, bias, scale: 0.125, activation: 'gelu' });
        const norm = { weight: fixed(r, 'f32', [inputs]), eps: 1e-6 };
        matmul(x, matrix(r, form, 2 * outputs, inputs), { variant, norm, gate: 'silu' });
        matmul(r.tensor(fixed(r, 'f32', [capacity, inputs])), weight, { variant });
      }
    }
  },
  ropeAppend(r) {
    for (const dtype of KV_DTYPES) {
      for (const [headDim, rotaryDim, interleaved] of [
        [64, 64, false],
        [10, 6, true],
        [5, 0, false],
      ] as const) {
        const shape = { kvHeads: 2, headDim, pageSize: 16, dtype };
        const kv = createKvLayer(r.device, 9, shape);
        const options = { heads: 6, kvHeads: 2, headDim, rotaryDim, interleaved };
        const rotary = rows(r, 'f32', rotaryDim / 2, TOKENS, 2);
        ropeAppend(rows(r, 'f32', 10 * headDim), rotary, stepState(r), kv, options);
        appendKv(rows(r, 'f32', 4 * headDim), withoutTables(stepState(r)), kv);
        padHeads(rows(r, 'f32', 6 * headDim), 6, headDim);
        copyPages(r, fixed(r, 'u32', [7, 2]), kv);
      }
    }
  },
  attention(r) {
    for (const dtype of KV_DTYPES) {
      for (const [heads, kvHeads, headDim, window] of [
        [1, 1, 1, undefined],
        [71, 1, 64, undefined],
        [5, 5, 10, 7],
        [6, 2, 80, 100],
        [4, 2, 96, undefined],
        [8, 2, 128, 1],
        [8, 1, 256, undefined],
      ] as const) {
        const kv = createKvLayer(r.device, 9, { kvHeads, headDim, pageSize: 16, dtype });
        const queries = rows(r, 'f32', heads * Math.ceil(headDim / 4) * 4);
        const bias = { table: fixed(r, 'f32', [7, heads]), reach: 3 };
        const names = Object.keys(MANY_VARIANTS) as (keyof typeof MANY_VARIANTS)[];
        // The variants read the cache by the same functions, so one of them does for most types.
        const many = names.filter((name) => dtype === 'f32' && suits(name, headDim));
        const variants = [
          'direct',
          ...ONE_VARIANTS.filter((one) => suitsOne(one, r.facts)).map(
            (one) => ({ one, many: 'tile_1x8' }) as const,
          ),
          ...many.map((name) => ({ one: 'split', many: name }) as const),
        ] as const;
        for (const variant of variants) {
          const options = { heads, scale: 0.125, window, variant };
          attention(queries, stepState(r), kv, options);
          attention(queries, withoutTables(stepState(r)), kv, { ...options, causal: false, bias });
        }
      }
    }
  },
  disentangledAttention(r) {
    for (const [heads, headDim] of [
      [1, 1],
      [12, 64],
      [5, 6],
      [4, 13],
      [3, 128],
      [6, 256],
    ] as const) {
      const dim = heads * headDim;
      const table = r.tensor(fixed(r, 'f32', [8, dim]));
      for (const positions of [{}, { keys: table }, { queries: table, keys: table }]) {
        for (const variant of ['direct', 'tile'] as const) {
          const options = { heads, headDim, scale: 0.125, variant };
          const distances = fixed(r, 'u32', [23]);
          disentangledAttention(
            rows(r, 'f32', 3 * dim),
            positions,
            distances,
            stepState(r),
            options,
          );
        }
      }
    }
  },
  beamCandidates(r) {
    for (const vocab of [2, 97, 5000, 262_144]) {
      const capacity = { count: 'samples', capacity: SEQUENCES } as const;
      const logits = { ...r.tensor(fixed(r, 'f32', [SEQUENCES, vocab])), shape: [capacity, vocab] };
      beamCandidates(logits, {
        rows: fixed(r, 'u32', [SEQUENCES, BEAM_ROW_WORDS]),
        ruleTokens: fixed(r, 'u32', [9]),
        ruleFactors: fixed(r, 'f32', [9]),
      });
    }
  },
  sample(r) {
    for (const vocab of [1, 97, 5000, 151_936]) {
      const capacity = { count: 'samples', capacity: SEQUENCES } as const;
      const logits = { ...r.tensor(fixed(r, 'f32', [SEQUENCES, vocab])), shape: [capacity, vocab] };
      const state = {
        rows: fixed(r, 'u32', [SEQUENCES, SAMPLE_ROW_WORDS]),
        biasTokens: fixed(r, 'u32', [9]),
        biasValues: fixed(r, 'f32', [9]),
      };
      const memory = {
        history: fixed(r, 'u32', [SEQUENCES, vocab]),
        lastTokens: fixed(r, 'u32', [SEQUENCES]),
      };
      sample(logits, state, memory);
    }
  },
};

function fixed(
  { device }: Recorder,
  dtype: DeviceTensor['dtype'],
  shape: readonly number[],
): DeviceTensor {
  return device.createTensor('state', 'operand', dtype, shape);
}

/** Rows of the step, as many as a count says: [tokens ≤ capacity, size, ...more], or [tokens] without a size. */
function rows(
  r: Recorder,
  dtype: DeviceTensor['dtype'],
  size?: number,
  capacity = TOKENS,
  ...more: readonly number[]
): Tensor {
  const sizes = size === undefined ? [] : [size, ...more];
  const tensor = r.tensor(fixed(r, dtype, [capacity, ...sizes]));
  const count: CountName = 'tokens';
  return { ...tensor, shape: [{ count, capacity }, ...sizes] };
}

/** A weight cut into shards of at most `shardRows` rows; what has no whole groups is stored as f16. */
function matrix(
  r: Recorder,
  wanted: WeightForm,
  outputs: number,
  cols: number,
  shardRows: number = outputs,
): Matrix {
  const form = isQuantized(wanted) && cols % QUANT_GROUP !== 0 ? 'f16' : wanted;
  const shards = [];
  for (let firstRow = 0; firstRow < outputs; firstRow += shardRows) {
    const count = Math.min(shardRows, outputs - firstRow);
    const part = { firstRow, rows: count };
    if (isQuantized(form)) {
      const scales = fixed(r, 'f16', [count, cols / QUANT_GROUP]);
      const words = (matrixBytes(form, count, cols) - scales.sizeBytes) / 4;
      shards.push({ ...part, tensor: fixed(r, 'u32', [words]), scales });
    } else {
      shards.push({ ...part, tensor: fixed(r, form, [count, cols]) });
    }
  }
  return { rows: outputs, cols, form, shards };
}

function stepState(r: Recorder): AttentionState {
  return {
    positions: fixed(r, 'u32', [TOKENS]),
    sequenceOf: fixed(r, 'u32', [TOKENS]),
    sequences: fixed(r, 'u32', [SEQUENCES, 4]),
    tables: fixed(r, 'u32', [SEQUENCES, 3]),
    tiles: fixed(r, 'u32', [20, 2]),
  };
}

function withoutTables(state: AttentionState): AttentionState {
  return { ...state, tables: undefined };
}
