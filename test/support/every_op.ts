import type { Device } from '../../src/gpu/device.ts';
import type { Bindings, Kernel } from '../../src/gpu/kernel.ts';
import { Recorder, type Call } from '../../src/gpu/recorder.ts';
import { StateBuffer } from '../../src/gpu/state_buffer.ts';
import type { CountName, DeviceTensor, Tensor } from '../../src/gpu/tensor.ts';
import { attention, type AttentionState } from '../../src/kernels/attention.ts';
import { embedding } from '../../src/kernels/embedding.ts';
import { ACTIVATIONS, gatedActivation } from '../../src/kernels/gated_activation.ts';
import { gatherRows } from '../../src/kernels/gather_rows.ts';
import { createKvLayer } from '../../src/kernels/kv_cache.ts';
import { matmul, type MatmulVariant } from '../../src/kernels/matmul.ts';
import type { Matrix } from '../../src/kernels/matrix.ts';
import { addRmsNorm, rmsNorm } from '../../src/kernels/rms_norm.ts';
import { ropeAppend } from '../../src/kernels/rope_append.ts';
import { sample, SAMPLE_ROW_WORDS } from '../../src/kernels/sample.ts';

/** Records operations on tensors that hold nothing in particular, and remembers the kernels they use. */
export class CollectingRecorder extends Recorder {
  readonly kernels: Kernel[] = [];

  constructor(device: Device) {
    const { counts } = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } }).regions;
    super(device, counts.tensor);
  }

  override dispatch<const B extends Bindings>(kernel: Kernel<B>, call: Call<B>): void {
    this.kernels.push(kernel);
    super.dispatch(kernel, call);
  }
}

/** Most tokens and sequences of the recorded steps. */
const TOKENS = 40;
const SEQUENCES = 5;
const DTYPES = ['f32', 'f16', 'bf16'] as const;

/**
 * Every operation of `src/kernels`, recorded with shapes, dtypes and options that between them reach every kernel
 * and every variant that its launcher chooses from.
 */
export const EVERY_OP: Readonly<Record<string, (recorder: Recorder) => void>> = {
  embedding(r) {
    for (const dtype of DTYPES) {
      for (const cols of [5, 64, 300]) {
        embedding(rows(r, 'u32'), fixed(r, 'u32', [4]), matrix(r, dtype, 96, cols));
      }
    }
  },
  gatherRows(r) {
    for (const dim of [1, 64, 1031]) gatherRows(rows(r, 'f32', dim), rows(r, 'u32'));
  },
  gatedActivation(r) {
    for (const activation of ACTIVATIONS) gatedActivation(rows(r, 'f32', 134), activation);
  },
  rmsNorm(r) {
    for (const dim of [5, 64, 100, 1031]) {
      const x = rows(r, 'f32', dim);
      rmsNorm(x, fixed(r, 'f32', [dim]), 1e-6);
      addRmsNorm(x, rows(r, 'f32', dim), fixed(r, 'f32', [dim]), 0);
    }
  },
  matmul(r) {
    const shapes: readonly (readonly [MatmulVariant, number, number, number])[] = [
      ['plain', 3, 50, 31],
      ['direct', 1, 64, 97],
      ['direct', TOKENS, 64, 97],
      ['few', 1, 64, 97],
      ['few', 8, 172, 67],
      ['tile', TOKENS, 36, 129],
    ];
    for (const [variant, capacity, inputs, outputs] of shapes) {
      for (const dtype of DTYPES) {
        const weight = matrix(r, dtype, outputs, inputs, 40);
        const x = rows(r, 'f32', inputs, capacity);
        matmul(x, weight, { variant });
        const bias = fixed(r, 'f32', [outputs]);
        matmul(x, weight, { variant, bias, residual: rows(r, 'f32', outputs, capacity) });
        matmul(r.tensor(fixed(r, 'f32', [capacity, inputs])), weight, { variant });
      }
    }
  },
  ropeAppend(r) {
    for (const dtype of ['f32', 'f16'] as const) {
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
      }
    }
  },
  attention(r) {
    for (const dtype of ['f32', 'f16'] as const) {
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
        for (const variant of ['direct', 'tiled'] as const) {
          attention(queries, stepState(r), kv, { heads, scale: 0.125, window, variant });
        }
      }
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

/** A weight cut into shards of at most `shardRows` rows. */
function matrix(
  r: Recorder,
  dtype: Matrix['dtype'],
  outputs: number,
  cols: number,
  shardRows: number = outputs,
): Matrix {
  const shards = [];
  for (let firstRow = 0; firstRow < outputs; firstRow += shardRows) {
    const count = Math.min(shardRows, outputs - firstRow);
    shards.push({ firstRow, rows: count, tensor: fixed(r, dtype, [count, cols]) });
  }
  return { rows: outputs, cols, dtype, shards };
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
