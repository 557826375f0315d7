import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { meanRows } from '../../src/kernels/pool_rows.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';

/** Means of the sequences that `sizes` cuts the rows of x into. */
async function means(
  device: Device,
  x: Float32Array,
  dim: number,
  sizes: readonly number[],
): Promise<Float32Array> {
  let first = 0;
  const sequences = sizes.flatMap((rows) => {
    first += rows;
    return [first - rows, rows, rows, 0];
  });
  // Room for two more sequences than the step has.
  const count = { count: 'samples', capacity: sizes.length + 2 } as const;
  const { y } = await runOp(device, { samples: sizes.length }, (r) => ({
    y: meanRows(
      r.tensor(upload(device, 'f32', [first, dim], x)),
      upload(device, 'u32', [sizes.length, 4], Uint32Array.from(sequences)),
      count,
    ),
  }));
  return y.f32.subarray(0, sizes.length * dim);
}

describeOnAdapters('pool_rows', (open) => {
  it.each([
    { dim: 1, sizes: [1, 2, 3] },
    { dim: 3, sizes: [5, 1, 8, 9, 7] },
    { dim: 45, sizes: [1, 200] },
    { dim: 64, sizes: [3000, 17] },
    { dim: 1000, sizes: [9, 1] },
  ])('dim $dim, sequences of $sizes', async ({ dim, sizes }) => {
    const device = await open();
    const x = random(sizes.reduce((sum, n) => sum + n, 0) * dim, 1).map((v) => 3 + v);
    let first = 0;
    const expected = sizes.flatMap((rows) => {
      const mean = new Float64Array(dim);
      for (let i = 0; i < rows * dim; i += 1) {
        mean[i % dim] = (mean[i % dim] ?? 0) + (x[first * dim + i] ?? 0) / rows;
      }
      first += rows;
      return [...mean];
    });
    expect(relativeError(await means(device, x, dim, sizes), expected)).toBeLessThan(2e-6);
  });

  it('gives the same bits wherever the rows lie', async () => {
    const device = await open();
    const [dim, rows] = [45, 83];
    const x = random((rows + 21) * dim, 2);
    const alone = await means(device, x.subarray(21 * dim), dim, [rows]);
    const among = await means(device, x, dim, [20, 1, rows]);
    expect([...among.subarray(2 * dim)]).toEqual([...alone]);
  });
});
