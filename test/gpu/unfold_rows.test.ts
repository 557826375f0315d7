import { expect, it } from 'vitest';
import { unfoldRows } from '../../src/kernels/unfold_rows.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, runOp, upload } from '../support/run_op.ts';

describeOnAdapters('unfold_rows', (open) => {
  it.each([
    { dim: 1, size: 3, lengths: [1, 2, 3] },
    { dim: 45, size: 3, lengths: [1, 1, 70, 4] },
    { dim: 64, size: 7, lengths: [2, 9, 1] }, // wider than most sequences
    { dim: 5, size: 1, lengths: [6] },
  ])('dim $dim, $size rows side by side, sequences of $lengths', async (spec) => {
    const { dim, size, lengths } = spec;
    const device = await open();
    const places = lengths.flatMap((length, sequence) =>
      Array.from({ length }, (_, position) => ({ sequence, position, length })),
    );
    const tokens = places.length;
    const x = random(tokens * dim, 1);
    const firsts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, n) => sum + n, 0));
    const sequences = lengths.flatMap((length, i) => [firsts[i] ?? 0, length, length, 0]);

    // Room for three more tokens than the step has.
    const rows = { count: 'tokens', capacity: tokens + 3 } as const;
    const { y } = await runOp(device, { tokens }, (r) => {
      const sequenceOf = Uint32Array.from(places, ({ sequence }) => sequence);
      const state = {
        sequenceOf: upload(device, 'u32', [tokens + 3], sequenceOf),
        sequences: upload(device, 'u32', [lengths.length, 4], Uint32Array.from(sequences)),
      };
      const padded = { ...upload(device, 'f32', [tokens + 3, dim], x), shape: [rows, dim] };
      return { y: unfoldRows(r.tensor(padded), state, size) };
    });

    const expected = places.flatMap(({ position, length }, row) =>
      Array.from({ length: dim * size }, (_, j) => {
        const offset = (j % size) - Math.floor(size / 2);
        const isInside = position + offset >= 0 && position + offset < length;
        return isInside ? x[(row + offset) * dim + Math.floor(j / size)] : 0;
      }),
    );
    expect([...y.f32.subarray(0, expected.length)]).toEqual(expected);
  });

  it('refuses an even number of rows', async () => {
    const device = await open();
    const run = runOp(device, { tokens: 1 }, (r) => {
      const state = {
        sequenceOf: upload(device, 'u32', [1], Uint32Array.of(0)),
        sequences: upload(device, 'u32', [1, 4], Uint32Array.of(0, 1, 1, 0)),
      };
      return { y: unfoldRows(r.tensor(upload(device, 'f32', [1, 4], random(4, 1))), state, 2) };
    });
    await expect(run).rejects.toThrow(ShapeError);
  });
});
