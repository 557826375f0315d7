import { describe, expect, it } from 'vitest';
import { matmul } from '../../src/kernels/matmul.ts';
import { FEW_VARIANTS } from '../../src/kernels/matmul_few.ts';
import { isQuantized, type WeightForm } from '../../src/kernels/matrix.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { REFERENCE_ACTIVATION } from '../support/reference_activation.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

/** Of products summed in f32. */
const TOLERANCE = 2e-6;
/** Of x rounded to 8 bits: half a step of 1/127 of the largest of 32, over sums of tens of terms. */
const DOT4_TOLERANCE = 1.5e-2;

interface Case {
  readonly form: WeightForm;
  /** Rows of x, of at most `capacity`. */
  readonly rows: number;
  readonly capacity: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly shardRows?: number;
  readonly with?: readonly ('norm' | 'gate' | 'ends')[];
}

// Every form, rows of 1, 3 and 8, odd numbers of columns, one column, rows that are no whole steps of 32.
const CASES: readonly Case[] = [
  { form: 'f32', rows: 3, capacity: 3, inputs: 36, outputs: 67, with: ['norm', 'ends'] },
  { form: 'f32', rows: 1, capacity: 1, inputs: 264, outputs: 66, with: ['norm', 'gate'] },
  { form: 'f16', rows: 1, capacity: 1, inputs: 264, outputs: 1 },
  { form: 'bf16', rows: 8, capacity: 8, inputs: 72, outputs: 130, shardRows: 48 },
  { form: 'q8', rows: 3, capacity: 8, inputs: 96, outputs: 67, with: ['norm', 'ends'] },
  { form: 'q4', rows: 1, capacity: 1, inputs: 544, outputs: 35, shardRows: 18 },
  { form: 'q4', rows: 8, capacity: 8, inputs: 64, outputs: 42, with: ['norm', 'gate'] },
];
/** All of them for one of each kernel; for those that differ from it in a number, what that number matters for. */
const casesOf = (variant: string): readonly Case[] => {
  if (variant === 'few_8x4') return CASES;
  const quantized = CASES.filter(({ form }) => isQuantized(form));
  if (variant === 'few_dot4_8') return quantized;
  if (variant === 'few_alone') return quantized.map((of) => ({ ...of, rows: 1, capacity: 1 }));
  return CASES.filter(({ form, rows }) => form === 'q4' && (rows === 1 || variant === 'few_8x8'));
};

/** What `matmul` computes, in float64. */
function reference(
  { rows, inputs, outputs }: Case,
  { x, w, gamma, bias, residual }: Operands,
  gates: boolean,
): Float64Array {
  const sums = Float64Array.from({ length: rows * outputs }, (_, i) => {
    const [row, n] = [Math.floor(i / outputs), i % outputs];
    let [sum, squares] = [0, 0];
    for (let k = 0; k < inputs; k += 1) {
      const v = x[row * inputs + k] ?? 0;
      squares += v * v;
      sum += v * (gamma?.[k] ?? 1) * (w[n * inputs + k] ?? 0);
    }
    const factor = gamma === undefined ? 1 : 1 / Math.sqrt(squares / inputs + EPS);
    return SCALE * factor * sum + (bias?.[n] ?? 0);
  });
  if (!gates) return sums.map((sum, i) => sum + (residual?.[i] ?? 0));
  const half = outputs / 2;
  return Float64Array.from({ length: rows * half }, (_, i) => {
    const at = Math.floor(i / half) * outputs + (i % half);
    return REFERENCE_ACTIVATION.silu(sums[at] ?? 0) * (sums[at + half] ?? 0);
  });
}

interface Operands {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly gamma: Float32Array | undefined;
  readonly bias: Float32Array | undefined;
  readonly residual: Float32Array | undefined;
}

const EPS = 0.01;
const SCALE = 0.75;

describeOnAdapters('matmul of few rows', (open) => {
  describe.each(Object.keys(FEW_VARIANTS))('%s', (variant) => {
    it.for(casesOf(variant))('agrees with float64: %o', async (test, context) => {
      const { form, rows, capacity, inputs, outputs, shardRows, with: parts = [] } = test;
      const device = await open();
      const shape = { rows: capacity, cols: inputs, outputs, form, isWhole: true };
      if (FEW_VARIANTS[variant]?.suits(device.facts, shape) !== true) {
        context.skip('this device has no subgroups of 8 threads');
      }
      const gates = parts.includes('gate');
      const { matrix, stored } = uploadMatrix(
        device,
        form,
        outputs,
        inputs,
        random(outputs * inputs, 2),
        shardRows,
      );
      const operands: Operands = {
        x: random(rows * inputs, 1),
        w: stored,
        gamma: parts.includes('norm') ? random(inputs, 5).map((v) => 1 + 0.5 * v) : undefined,
        bias: parts.length > 0 ? random(outputs, 3) : undefined,
        residual: parts.includes('ends') ? random(rows * outputs, 4) : undefined,
      };
      const { y } = await runOp(device, { tokens: rows }, (r) => {
        const perRow = (size: number, values: Float32Array) => {
          const padded = new Float32Array(capacity * size).fill(Number.NaN);
          padded.set(values);
          const tensor = r.tensor(upload(device, 'f32', [capacity, size], padded));
          return { ...tensor, shape: [{ count: 'tokens', capacity } as const, size] };
        };
        const { x, gamma, bias, residual } = operands;
        return {
          y: matmul(perRow(inputs, x), matrix, {
            variant,
            scale: SCALE,
            norm: gamma && { weight: upload(device, 'f32', [inputs], gamma), eps: EPS },
            bias: bias && upload(device, 'f32', [outputs], bias),
            gate: gates ? 'silu' : undefined,
            residual: residual && perRow(outputs, residual),
          }),
        };
      });
      const expected = reference(test, operands, gates);
      const error = relativeError(y.f32.subarray(0, expected.length), expected);
      expect(error).toBeLessThan(variant.includes('dot4') ? DOT4_TOLERANCE : TOLERANCE);
    });
  });

  // The scale of every group is then 2^-7, and no product is rounded.
  it.each(['q8', 'q4'] as const)('is exact in integers for x of 8 bits, %s', async (form) => {
    const device = await open();
    const [rows, inputs, outputs] = [2, 96, 7];
    const values = random(outputs * inputs, 2);
    const { matrix, stored } = uploadMatrix(device, form, outputs, inputs, values);
    const x = random(rows * inputs, 1).map((v, i) =>
      i % 32 === 5 ? 127 / 128 : Math.round(127 * v) / 128,
    );
    const { y } = await runOp(device, {}, (r) => ({
      y: matmul(r.tensor(upload(device, 'f32', [rows, inputs], x)), matrix, {
        variant: 'few_dot4_8',
        scale: SCALE,
      }),
    }));
    const test = { form, rows, capacity: rows, inputs, outputs };
    const none = { gamma: undefined, bias: undefined, residual: undefined };
    const expected = reference(test, { x, w: stored, ...none }, false);
    expect(relativeError(y.f32, expected)).toBeLessThan(TOLERANCE);
  });
});
