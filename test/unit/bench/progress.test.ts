import { expect, it } from 'vitest';
import { ProgressMeter, type BenchProgress } from '../../../src/bench/progress.ts';

it('tells how far a run is, and how long the rest takes', async () => {
  let time = 0;
  const told: BenchProgress[] = [];
  const meter = new ProgressMeter(
    () => time,
    (progress) => {
      told.push(progress);
    },
  );
  const take = (ms: number) => async (): Promise<void> => {
    time += ms;
  };
  meter.expect('load', 100);
  meter.expect('tg8', 10, 4);
  meter.expect('pp8', 5, 4);
  await meter.step('load', { phase: 'load' }, async () => {
    meter.loading('load', { phase: 'weights', loadedBytes: 1, totalBytes: 2 });
    time += 1000;
    meter.loading('load', { phase: 'ready', loadedBytes: 0, totalBytes: 0 });
  });
  for (let i = 0; i < 4; i += 1) {
    await meter.step('tg8', { phase: 'test', test: 'tg8', done: i, of: 3 }, take(200));
  }
  for (let i = 0; i < 4; i += 1) {
    await meter.step('pp8', { phase: 'test', test: 'pp8', done: i, of: 3 }, take(50));
  }
  const fractions = told.map(({ fraction }) => fraction);
  expect(fractions[0]).toBe(0);
  expect(fractions[1]).toBeCloseTo(40 / 160, 9);
  expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
  expect(Math.max(...fractions)).toBeLessThanOrEqual(1);
  // Nothing is known before a test has run once; then what was measured counts, and the rest by its cost.
  const lefts = told.map(({ leftMs }) => leftMs);
  expect(lefts.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
  expect(lefts[4]).toBeCloseTo(3 * 200 + (4 * 5 * 1200) / 110, 6);
  expect(lefts.slice(-2)).toEqual([100, 50]);
});

it('waits for whoever is told', async () => {
  const order: string[] = [];
  const meter = new ProgressMeter(
    () => 0,
    async () => {
      await Promise.resolve();
      order.push('painted');
    },
  );
  await meter.step('x', { phase: 'peaks' }, async () => {
    order.push('measured');
  });
  expect(order).toEqual(['painted', 'measured']);
});
