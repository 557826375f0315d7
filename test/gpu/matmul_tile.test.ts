import { describe, expect, it } from 'vitest';
import { matmul } from '../../src/kernels/matmul.ts';
import { shapeOf } from '../../src/kernels/matmul_call.ts';
import { TILE_VARIANTS } from '../../src/kernels/matmul_tile.ts';
import type { WeightForm } from '../../src/kernels/matrix.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { REFERENCE_ACTIVATION } from '../support/reference_activation.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

interface Case {
  readonly form: WeightForm;
  /** Rows of x, of at most `capacity`. */
  readonly rows: number;
  readonly capacity: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly shardRows?: number;
  readonly with?: 'ends' | 'gate';
}

// Every form; rows and columns one past a tile, a single column, slabs that end within the rows.
const F32: Case = { form: 'f32', rows: 65, capacity: 70, inputs: 36, outputs: 67, with: 'ends' };
const F16: Case = { form: 'f16', rows: 9, capacity: 9, inputs: 288, outputs: 129 };
const BF16: Case = { form: 'bf16', rows: 130, capacity: 200, inputs: 40, outputs: 1 };
const Q8: Case = { form: 'q8', rows: 65, capacity: 65, inputs: 96, outputs: 134, with: 'gate' };
const Q4: Case = {
  form: 'q4',
  rows: 130,
  capacity: 131,
  inputs: 288,
  outputs: 67,
  shardRows: 34,
  with: 'ends',
};
/** Streams side by side: the processors' kernel takes half as many rows. */
const STREAMS: Case = { form: 'f32', rows: 5, capacity: 8, inputs: 68, outputs: 67, with: 'ends' };
const CASES: Readonly<Record<string, readonly Case[]>> = {
  direct: [F32, F16, BF16, Q8, Q4],
  lanes: [F32, F16, BF16, Q8, Q4, STREAMS],
  tile_64x64: [F32, F16, BF16, Q8, Q4],
  // These differ from it in numbers.
  tile_32x64: [F16],
  tile_128x64: [Q4],
  tile_128x128: [Q8],
  tile_64x64_split: [F32, Q4],
  matrix: [F32, Q4],
};

const SCALE = 0.75;

/** What `matmul` computes, in float64. */
function reference(
  { rows, inputs, outputs, with: part }: Case,
  x: Float32Array,
  w: Float32Array,
  bias: Float32Array | undefined,
  residual: Float32Array | undefined,
): Float64Array {
  const sums = Float64Array.from({ length: rows * outputs }, (_, i) => {
    const [row, n] = [Math.floor(i / outputs), i % outputs];
    let sum = 0;
    for (let k = 0; k < inputs; k += 1) {
      sum += (x[row * inputs + k] ?? 0) * (w[n * inputs + k] ?? 0);
    }
    return SCALE * sum + (bias?.[n] ?? 0);
  });
  if (part === 'ends') {
    return sums.map((sum, i) => REFERENCE_ACTIVATION.tanh(sum) + (residual?.[i] ?? 0));
  }
  if (part === undefined) return sums;
  const half = outputs / 2;
  return Float64Array.from({ length: rows * half }, (_, i) => {
    const at = Math.floor(i / half) * outputs + (i % half);
    return REFERENCE_ACTIVATION.silu(sums[at] ?? 0) * (sums[at + half] ?? 0);
  });
}

describeOnAdapters('matmul of many rows', (open) => {
  it('is tested in every variant', () => {
    expect(Object.keys(CASES).toSorted()).toEqual(Object.keys(TILE_VARIANTS).toSorted());
  });

  describe.each(Object.entries(CASES))('%s', (variant, cases) => {
    it.for(cases)('agrees with float64: %o', async (test, context) => {
      const { form, rows, capacity, inputs, outputs, shardRows, with: part } = test;
      const device = await open();
      if (device.facts.hasSlowBarriers && variant.startsWith('tile')) {
        context.skip('barriers compile for many seconds here, and are never chosen');
      }
      const values = random(outputs * inputs, 2);
      const { matrix, stored } = uploadMatrix(device, form, outputs, inputs, values, shardRows);
      if (TILE_VARIANTS[variant]?.suits(device.facts, shapeOf(capacity, matrix)) !== true) {
        context.skip('the device has no subgroups of one size, or no subgroup matrices');
      }
      const x = random(rows * inputs, 1);
      const bias = part === undefined ? undefined : random(outputs, 3);
      const residual = part === 'ends' ? random(rows * outputs, 4) : undefined;
      const { y } = await runOp(device, { tokens: rows }, (r) => {
        // What lies past the rows that the step has must not matter.
        const perRow = (size: number, used: Float32Array) => {
          const padded = new Float32Array(capacity * size).fill(Number.NaN);
          padded.set(used);
          const tensor = r.tensor(upload(device, 'f32', [capacity, size], padded));
          return { ...tensor, shape: [{ count: 'tokens', capacity } as const, size] };
        };
        return {
          y: matmul(perRow(inputs, x), matrix, {
            variant,
            scale: SCALE,
            bias: bias && upload(device, 'f32', [outputs], bias),
            activation: part === 'ends' ? 'tanh' : undefined,
            gate: part === 'gate' ? 'silu' : undefined,
            residual: residual && perRow(outputs, residual),
          }),
        };
      });
      const expected = reference(test, x, stored, bias, residual);
      const error = relativeError(y.f32.subarray(0, expected.length), expected);
      expect(error).toBeLessThan(2e-6);
    });
  });
});
