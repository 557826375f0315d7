import { describe, expect, it } from 'vitest';
import { fairseqSinusoids, sinusoids } from '../../../src/nn/sinusoids.ts';

/** Row `p` of a table, to compare with rows that Transformers 5.18 printed. */
function row(table: Float32Array, dim: number, p: number): readonly number[] {
  return [...table.subarray(p * dim, (p + 1) * dim)];
}

describe('sinusoids', () => {
  it('are those of Marian, sines first', () => {
    const table = sinusoids(700, 4);
    const last = [0.9999904632568359, 0.6494148373603821, 0.004365409724414349, 0.7604343295097351];
    expect(row(table, 4, 0)).toEqual([0, 0, 1, 1]);
    expect(row(table, 4, 699)).toEqual(last);
  });

  it('have one sine more than cosines where the width is odd', () => {
    const sines = [0.14112000167369843, 0.07528529316186905, 0.001892870874144137];
    const cosines = [-0.9899924993515015, 0.9971620440483093];
    expect(row(sinusoids(5, 5), 5, 3)).toEqual([...sines, ...cosines]);
  });
});

describe('fairseqSinusoids', () => {
  it('are those of M2M100, with a zero row for padding', () => {
    const table = fairseqSinusoids(700, 6, 1);
    const sines = [0.9999904632568359, 0.6494146585464478, 0.06984308362007141];
    const cosines = [0.004365409724414349, 0.7604344487190247, 0.9975579977035522];
    expect(row(table, 6, 0)).toEqual([0, 0, 0, 1, 1, 1]);
    expect(row(table, 6, 1)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(row(table, 6, 699)).toEqual([...sines, ...cosines]);
  });

  it('leave the last column zero where the width is odd', () => {
    expect(row(fairseqSinusoids(3, 7, 1), 7, 0)).toEqual([0, 0, 0, 1, 1, 1, 0]);
  });
});
