import { describe, expect, it } from 'vitest';
import { ACTIVATIONS, type Activation } from '../../src/kernels/activation.ts';
import { matmul } from '../../src/kernels/matmul.ts';
import { blockElements, type WeightForm } from '../../src/kernels/matrix.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { REFERENCE_ACTIVATION } from '../support/reference_activation.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

/** y[r, n] = Σ_k x[r, k] w[n, k] + bias[n] + residual[r, n], in float64. */
function reference(
  x: Float32Array,
  w: Float32Array,
  cols: number,
  bias?: Float32Array,
  residual?: Float32Array,
): Float64Array {
  const outputs = w.length / cols;
  return Float64Array.from({ length: (x.length / cols) * outputs }, (_, i) => {
    const row = Math.floor(i / outputs) * cols;
    const n = i % outputs;
    let sum = (bias?.[n] ?? 0) + (residual?.[i] ?? 0);
    for (let k = 0; k < cols; k += 1) sum += (x[row + k] ?? 0) * (w[n * cols + k] ?? 0);
    return sum;
  });
}

interface Case {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly form: WeightForm;
  readonly shardRows?: number;
  readonly extras?: boolean;
}

const CASES: readonly Case[] = [
  { rows: 1, inputs: 4, outputs: 1, form: 'f32' },
  { rows: 3, inputs: 176, outputs: 67, form: 'f16', extras: true },
  { rows: 8, inputs: 264, outputs: 130, form: 'bf16', shardRows: 48 },
  { rows: 9, inputs: 24, outputs: 65, form: 'bf16', extras: true },
  { rows: 65, inputs: 64, outputs: 96, form: 'f16', shardRows: 50, extras: true },
  { rows: 130, inputs: 36, outputs: 129, form: 'f32', extras: true },
  { rows: 2, inputs: 7, outputs: 5, form: 'f16', extras: true },
  { rows: 3, inputs: 96, outputs: 67, form: 'q8', extras: true },
  { rows: 70, inputs: 64, outputs: 66, form: 'q4', shardRows: 40, extras: true },
  { rows: 5, inputs: 288, outputs: 34, form: 'q4' },
  { rows: 11, inputs: 50, outputs: 31, form: 'bf16', shardRows: 16 },
];

interface Epilogue {
  readonly variant: string;
  readonly scale?: number;
  readonly activation?: Activation;
  readonly hasBias?: boolean;
  readonly hasResidual?: boolean;
}

/** One variant of each kind; the others are tested in matmul_few.test.ts and matmul_tile.test.ts. */
function variantsOf({ rows, inputs, form }: Case): readonly string[] {
  if (inputs % blockElements(form) !== 0) return ['plain'];
  return rows <= 8 ? ['plain', 'few_8x4', 'direct'] : ['plain', 'direct'];
}

describeOnAdapters('matmul', (open) => {
  describe.each(CASES)('[$rows, $inputs] × [$outputs, $inputs] $form', (shape) => {
    const { rows, inputs, outputs, form, shardRows = outputs, extras = false } = shape;
    const x = random(rows * inputs, 1);
    const bias = extras ? random(outputs, 3) : undefined;
    const residual = extras ? random(rows * outputs, 4) : undefined;

    it.each(variantsOf(shape))('%s agrees with float64', async (variant) => {
      const device = await open();
      const values = random(outputs * inputs, 2);
      const { matrix, stored } = uploadMatrix(device, form, outputs, inputs, values, shardRows);
      const { y } = await runOp(device, {}, (r) => ({
        y: matmul(r.tensor(upload(device, 'f32', [rows, inputs], x)), matrix, {
          variant,
          bias: bias && upload(device, 'f32', [outputs], bias),
          residual: residual && r.tensor(upload(device, 'f32', [rows, outputs], residual)),
        }),
      }));
      expect(relativeError(y.f32, reference(x, stored, inputs, bias, residual))).toBeLessThan(2e-6);
    });
  });

  // The end is one library for all kernels; `plain` is the quickest to compile.
  it.each<Epilogue>([
    { variant: 'plain', scale: 0.25, activation: 'tanh', hasBias: true, hasResidual: true },
    { variant: 'few_8x4', scale: 0.25, activation: 'tanh', hasBias: true, hasResidual: true },
    { variant: 'direct', scale: 0.25, activation: 'tanh', hasBias: true, hasResidual: true },
    { variant: 'plain', scale: 768 ** -0.5 },
    { variant: 'plain', scale: 3, hasResidual: true },
    ...ACTIVATIONS.map((activation) => ({ variant: 'plain', activation, hasBias: true }) as const),
  ])('ends with %o', async ({ variant, scale, activation, hasBias, hasResidual }) => {
    const device = await open();
    const [rows, inputs, outputs] = [5, 16, 70];
    const values = random(outputs * inputs, 1);
    const { matrix, stored } = uploadMatrix(device, 'f16', outputs, inputs, values, 40);
    const x = random(rows * inputs, 2).map((v) => 3 * v);
    const bias = hasBias ? random(outputs, 3) : undefined;
    const residual = hasResidual ? random(rows * outputs, 4) : undefined;
    const { y } = await runOp(device, {}, (r) => ({
      y: matmul(r.tensor(upload(device, 'f32', [rows, inputs], x)), matrix, {
        variant,
        scale,
        activation,
        bias: bias && upload(device, 'f32', [outputs], bias),
        residual: residual && r.tensor(upload(device, 'f32', [rows, outputs], residual)),
      }),
    }));
    const expected = reference(x, stored, inputs).map((product, i) => {
      const value = (scale ?? 1) * product + (bias?.[i % outputs] ?? 0);
      const active = activation === undefined ? value : REFERENCE_ACTIVATION[activation](value);
      return active + (residual?.[i] ?? 0);
    });
    expect(relativeError(y.f32, expected)).toBeLessThan(2e-6);
  });

  // What a variant does not fold in runs beside it: all must give the same.
  it.each(['plain', 'direct', 'few_8x4'])(
    '%s normalizes before and gates after',
    async (variant) => {
      const device = await open();
      const [rows, inputs, outputs] = [3, 32, 26];
      const { matrix, stored } = uploadMatrix(
        device,
        'f16',
        outputs,
        inputs,
        random(outputs * inputs, 1),
      );
      const x = random(rows * inputs, 2).map((v) => 50 * v);
      const [weight, bias] = [random(inputs, 3), random(outputs, 4)];
      const { y } = await runOp(device, {}, (r) => ({
        y: matmul(r.tensor(upload(device, 'f32', [rows, inputs], x)), matrix, {
          variant,
          norm: { weight: upload(device, 'f32', [inputs], weight), eps: 0.5 },
          gate: 'silu',
          bias: upload(device, 'f32', [outputs], bias),
        }),
      }));
      const normed = Float32Array.from(x, (v, i) => {
        const row = Math.floor(i / inputs) * inputs;
        const squares = x.subarray(row, row + inputs).reduce((sum, u) => sum + u * u, 0);
        return (v * (weight[i % inputs] ?? 0)) / Math.sqrt(squares / inputs + 0.5);
      });
      const both = reference(normed, stored, inputs, undefined, undefined);
      const half = outputs / 2;
      const expected = Float64Array.from({ length: rows * half }, (_, i) => {
        const at = Math.floor(i / half) * outputs + (i % half);
        const gate = (both[at] ?? 0) + (bias[i % half] ?? 0);
        const up = (both[at + half] ?? 0) + (bias[half + (i % half)] ?? 0);
        return REFERENCE_ACTIVATION.silu(gate) * up;
      });
      expect(relativeError(y.f32, expected)).toBeLessThan(4e-6);
    },
  );

  // Weights below 0.008 have such scales at 8 bits; devices may take them for 0.
  it.each(['q8', 'q4'] as const)('reads scales of %s that are subnormal in f16', async (form) => {
    const device = await open();
    const [rows, inputs, outputs] = [2, 64, 6];
    const values = random(outputs * inputs, 1).map((v) => v * 2e-4);
    const { matrix, stored } = uploadMatrix(device, form, outputs, inputs, values);
    const x = random(rows * inputs, 2);
    for (const variant of ['plain', 'direct']) {
      const { y } = await runOp(device, {}, (r) => ({
        y: matmul(r.tensor(upload(device, 'f32', [rows, inputs], x)), matrix, { variant }),
      }));
      expect(relativeError(y.f32, reference(x, stored, inputs))).toBeLessThan(2e-6);
    }
  });

  it('computes only the rows that the step has', async () => {
    const device = await open();
    const tokens = { count: 'tokens', capacity: 70 } as const;
    const { matrix, stored } = uploadMatrix(device, 'f32', 40, 8, random(320, 5));
    const x = random(70 * 8, 6);
    const { y } = await runOp(device, { tokens: 66 }, (r) => {
      const input = { ...r.tensor(upload(device, 'f32', [70, 8], x)), shape: [tokens, 8] };
      return { y: matmul(input, matrix) };
    });
    const expected = reference(x, stored, 8).subarray(0, 66 * 40);
    expect(relativeError(y.f32.subarray(0, 66 * 40), expected)).toBeLessThan(2e-6);
  });

  it('has no limit on the outputs but memory', async () => {
    const device = await open();
    const outputs = 4 * device.facts.limits.maxComputeWorkgroupsPerDimension + 6;
    const x = random(4, 7);
    const values = random(outputs * 4, 8);
    const { matrix } = uploadMatrix(device, 'f32', outputs, 4, values);
    const { y } = await runOp(device, {}, (r) => ({
      y: matmul(r.tensor(upload(device, 'f32', [1, 4], x)), matrix),
    }));
    expect(relativeError(y.f32, reference(x, values, 4))).toBeLessThan(2e-6);
  });

  it('names operands of the wrong shape', async () => {
    const device = await open();
    const { matrix } = uploadMatrix(device, 'f32', 4, 8, random(32, 5));
    await expect(
      runOp(device, {}, (r) => ({
        y: matmul(r.tensor(upload(device, 'f32', [2, 6], random(12, 1))), matrix),
      })),
    ).rejects.toThrow('matmul: x is f32 [2, 6], expected f32 [rows, 8]');
  });
});
