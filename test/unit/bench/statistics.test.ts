import { expect, it } from 'vitest';
import { mapSpread, spreadOf } from '../../../src/bench/statistics.ts';

it('finds the middle and the spread of odd and even numbers of runs', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, sd: 1, runs: [3, 1, 2] });
  expect(spreadOf([4, 1, 2, 10])).toMatchObject({ median: 3, min: 1, max: 10 });
  expect(spreadOf([2, 4, 4, 4, 5, 5, 7, 9]).sd).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7, sd: 0, runs: [7] });
});

it('converts runs, not their median', () => {
  const rates = mapSpread(spreadOf([1, 2, 8]), (time) => 8 / time);
  expect(rates).toMatchObject({ median: 4, min: 1, max: 8, runs: [8, 4, 1] });
});
