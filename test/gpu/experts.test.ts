import { describe, expect, it } from 'vitest';
import { expertMatmul } from '../../src/kernels/expert_matmul.ts';
import type { Matrix } from '../../src/kernels/matrix.ts';
import { route } from '../../src/kernels/route.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { REFERENCE_ACTIVATION } from '../support/reference_activation.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

/** Two sequences of one token, then one each of these. */
const SIZES = [1, 1, 90, 41];
const TOKENS = SIZES.reduce((sum, n) => sum + n, 0);
const SEQUENCE_OF = Uint32Array.from(SIZES.flatMap((n, s) => Array.from({ length: n }, () => s)));
const SEQUENCES = Uint32Array.from(
  SIZES.flatMap((n, s) => [SIZES.slice(0, s).reduce((sum, m) => sum + m, 0), n, n, 0]),
);

/** The routing by its definition, token after token. */
function reference(logits: Float32Array, count: number, capacity: number) {
  const taken = new Map<string, number>();
  const chosen = Array.from(SEQUENCE_OF, (sequence, t) => {
    const row = [...logits.subarray(t * count, (t + 1) * count)];
    const largest = Math.max(...row);
    const expert = row.indexOf(largest);
    const key = `${sequence} ${expert}`;
    const earlier = taken.get(key) ?? 0;
    taken.set(key, earlier + 1);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    return { expert, weight: earlier < capacity ? 1 / sum : 0 };
  });
  return {
    experts: chosen.map(({ expert }) => expert),
    weights: chosen.map(({ weight }) => weight),
  };
}

describeOnAdapters('route', (open) => {
  describe.each([
    { count: 1, scale: 1 },
    { count: 3, scale: 5 },
    { count: 128, scale: 1e4 },
  ])('$count experts, logits in ±$scale', ({ count, scale }) => {
    // Whole numbers, so that many are equal.
    const logits = random(TOKENS * count, 1).map((v) => Math.round(v * scale));

    it.each([undefined, 0, 1, 7, 1000])('capacity %s', async (capacity) => {
      const device = await open();
      const tokens = { count: 'tokens', capacity: TOKENS + 3 } as const;
      const padded = new Float32Array((TOKENS + 3) * count).fill(1e30);
      padded.set(logits);
      const { experts, weights } = await runOp(device, { tokens: TOKENS }, (r) => {
        const input = r.tensor(upload(device, 'f32', [TOKENS + 3, count], padded));
        const state = {
          sequenceOf: upload(device, 'u32', [TOKENS], SEQUENCE_OF),
          sequences: upload(device, 'u32', [SIZES.length, 4], SEQUENCES),
        };
        return { ...route({ ...input, shape: [tokens, count] }, state, { capacity }) };
      });
      const expected = reference(logits, count, capacity ?? Infinity);
      expect([...experts.u32.subarray(0, TOKENS)]).toEqual(expected.experts);
      expect(relativeError(weights.f32.subarray(0, TOKENS), expected.weights)).toBeLessThan(1e-6);
    });
  });

  it('refuses a capacity that is no number of tokens', async () => {
    const device = await open();
    const run = runOp(device, {}, (r) => ({
      ...route(
        r.tensor(upload(device, 'f32', [1, 2], random(2, 1))),
        {
          sequenceOf: upload(device, 'u32', [1], Uint32Array.of(0)),
          sequences: upload(device, 'u32', [1, 4], Uint32Array.of(0, 1, 1, 0)),
        },
        { capacity: -1 },
      ),
    }));
    await expect(run).rejects.toThrow('route: capacity is -1, expected at least 0');
  });
});

interface Case {
  readonly experts: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly dtype: Matrix['form'];
  readonly chosen: readonly number[];
  readonly shardRows?: number;
  readonly extras?: boolean;
}

/** More tokens than a workgroup looks at: most on one expert, and one expert without any. */
const MANY = Array.from({ length: 150 }, (_, t) => (t % 7 === 0 ? (t % 2) * 3 : 1));

const CASES: readonly Case[] = [
  { experts: 4, inputs: 20, outputs: 70, dtype: 'bf16', chosen: MANY, extras: true },
  { experts: 4, inputs: 20, outputs: 70, dtype: 'f16', chosen: MANY, shardRows: 90 },
  { experts: 1, inputs: 1, outputs: 1, dtype: 'f32', chosen: [0] },
  { experts: 4, inputs: 45, outputs: 3, dtype: 'f16', chosen: [3, 3, 3, 3, 3] },
  { experts: 3, inputs: 64, outputs: 67, dtype: 'bf16', chosen: [2, 0, 2, 0], extras: true },
  { experts: 5, inputs: 36, outputs: 30, dtype: 'f16', chosen: [4, 1, 0, 3, 2, 1], shardRows: 44 },
  {
    experts: 2,
    inputs: 50,
    outputs: 129,
    dtype: 'f32',
    chosen: [1, 0],
    shardRows: 100,
    extras: true,
  },
];

describeOnAdapters('expert_matmul', (open) => {
  it.each(CASES)('$experts of [$outputs, $inputs] $dtype, $chosen.length rows', async (shape) => {
    const { experts, inputs, outputs, dtype, chosen, shardRows, extras = false } = shape;
    const device = await open();
    const rows = chosen.length;
    const x = random(rows * inputs, 1);
    const values = random(experts * outputs * inputs, 2);
    const { matrix, stored } = uploadMatrix(
      device,
      dtype,
      experts * outputs,
      inputs,
      values,
      shardRows,
    );
    const rowScale = extras ? random(rows, 3) : undefined;
    const residual = extras ? random(rows * outputs, 4) : undefined;
    const activation = extras ? 'gelu_tanh' : undefined;
    const { y } = await runOp(device, {}, (r) => ({
      y: expertMatmul(
        r.tensor(upload(device, 'f32', [rows, inputs], x)),
        matrix,
        r.tensor(upload(device, 'u32', [rows], Uint32Array.from(chosen))),
        {
          experts,
          activation,
          rowScale: rowScale && r.tensor(upload(device, 'f32', [rows], rowScale)),
          residual: residual && r.tensor(upload(device, 'f32', [rows, outputs], residual)),
        },
      ),
    }));
    const expected = Float64Array.from({ length: rows * outputs }, (_, i) => {
      const t = Math.floor(i / outputs);
      const n = (chosen[t] ?? 0) * outputs + (i % outputs);
      let sum = 0;
      for (let k = 0; k < inputs; k += 1) {
        sum += (x[t * inputs + k] ?? 0) * (stored[n * inputs + k] ?? 0);
      }
      const value = activation === undefined ? sum : REFERENCE_ACTIVATION[activation](sum);
      return (rowScale?.[t] ?? 1) * value + (residual?.[i] ?? 0);
    });
    expect(relativeError(y.f32, expected)).toBeLessThan(2e-6);
  });

  it('computes only the rows that the step has', async () => {
    const device = await open();
    const tokens = { count: 'tokens', capacity: 70 } as const;
    const { matrix, stored } = uploadMatrix(device, 'f32', 2 * 3, 4, random(24, 1));
    const x = random(70 * 4, 2);
    const chosen = new Uint32Array(70).fill(1);
    const { y } = await runOp(device, { tokens: 66 }, (r) => {
      const input = { ...r.tensor(upload(device, 'f32', [70, 4], x)), shape: [tokens, 4] };
      const experts = { ...r.tensor(upload(device, 'u32', [70], chosen)), shape: [tokens] };
      return { y: expertMatmul(input, matrix, experts, { experts: 2 }) };
    });
    const expected = Float64Array.from({ length: 66 * 3 }, (_, i) => {
      const t = Math.floor(i / 3);
      const product = (k: number) => (x[t * 4 + k] ?? 0) * (stored[(3 + (i % 3)) * 4 + k] ?? 0);
      return product(0) + product(1) + product(2) + product(3);
    });
    expect(relativeError(y.f32.subarray(0, 66 * 3), expected)).toBeLessThan(1e-6);
  });

  it('refuses rows that the experts do not share out', async () => {
    const device = await open();
    const { matrix } = uploadMatrix(device, 'f32', 7, 4, random(28, 1));
    const run = runOp(device, {}, (r) => ({
      y: expertMatmul(
        r.tensor(upload(device, 'f32', [1, 4], random(4, 1))),
        matrix,
        r.tensor(upload(device, 'u32', [1], Uint32Array.of(0))),
        { experts: 2 },
      ),
    }));
    await expect(run).rejects.toThrow('weight has 7 rows, expected a multiple of 2 experts');
  });
});
