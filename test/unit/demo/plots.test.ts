import { expect, it } from 'vitest';
import { barsData } from '../../../demo/bench/plots/bars_data.ts';
import { logTicks } from '../../../demo/bench/plots/log_ticks.ts';
import { rangesOf, rooflineData } from '../../../demo/bench/plots/roofline_data.ts';
import { type Box, boxesAlong, placeLabels } from '../../../demo/bench/plots/text_boxes.ts';
import { benchReport } from './support/bench_reports.ts';

const SPEEDY = benchReport({ adapter: 'Other GPU', speed: 3 });

it('puts each kernel and test under the roof of its adapter', () => {
  const reports = [benchReport(), benchReport({ form: 'f16', speed: 0.5 }), SPEEDY];
  const { roofs, series } = rooflineData(reports);
  expect(roofs.map(({ adapter, letter }) => [adapter, letter])).toEqual([
    ['Test GPU', 'A '],
    ['Other GPU', 'C '],
  ]);
  expect(roofs[0]).toMatchObject({ gigabytesPerSecond: 100, f32: 3000, f16: 5200, dispatchUs: 3 });
  expect(series.map(({ label }) => label)).toEqual([
    'SmolLM2 135M in 4 bits · Test GPU',
    'SmolLM2 135M in 16 bits · Test GPU',
    'SmolLM2 135M in 4 bits · Other GPU',
  ]);
  const decode = series[0]?.points.find(({ name }) => name === 'tg128');
  expect(decode?.flopsPerByte).toBeCloseTo(2.7e8 / 8e7);
  expect(decode?.gigaflopsPerSecond).toBeCloseTo(0.27 * 400);
  expect(decode?.ofLimit).toBeCloseTo(0.32);
});

it('draws no roofline without ceilings, and no point without operations', () => {
  const blind = benchReport({ hasPeaks: false });
  expect(rooflineData([blind]).series).toEqual([]);
  const { series } = rooflineData([blind, benchReport()]);
  // The color and the letter are those of the report in all plots.
  expect(series.map(({ index, letter }) => [index, letter])).toEqual([[1, 'B ']]);
  const undrawn = series[0]?.undrawn.map(({ name }) => name);
  expect(undrawn?.toSorted()).toEqual(['embedding', 'gather_rows']);
});

it('has axes with room for all points and ridges', () => {
  const data = rooflineData([benchReport()]);
  const { x, y } = rangesOf(data);
  const points = data.series.flatMap(({ points }) => points);
  for (const { flopsPerByte, gigaflopsPerSecond } of points) {
    expect(flopsPerByte).toBeGreaterThan(x.min);
    expect(flopsPerByte).toBeLessThan(x.max);
    expect(gigaflopsPerSecond).toBeGreaterThan(y.min);
    expect(gigaflopsPerSecond).toBeLessThan(y.max);
  }
  expect(x.max).toBeGreaterThan(52);
  expect(y.max).toBeGreaterThan(5200);
});

it('groups bars by test, one for each report that has it', () => {
  const once = benchReport({ form: 'f16', hasPeaks: false });
  const short = { ...once, results: once.results.filter(({ kind }) => kind === 'decode') };
  const decode = barsData([benchReport(), short], 'decode');
  expect(decode.groups).toEqual(['tg128']);
  expect(decode.bars).toEqual([
    { group: 'tg128', report: 0, median: 400, range: { min: 388, max: 408 }, limit: 1250 },
    { group: 'tg128', report: 1, median: 400, range: { min: 388, max: 408 } },
  ]);
  expect(barsData([short, benchReport()], 'prefill').bars.map(({ report }) => report)).toEqual([1]);
  expect(barsData([short], 'encode').bars).toEqual([]);
  expect(barsData([short], 'load').groups).toEqual(['cold', 'warm']);
});

it('tells reports apart by what differs', () => {
  const labels = (...reports: Parameters<typeof barsData>[0]): readonly string[] =>
    barsData(reports, 'decode').labels;
  expect(labels(benchReport())).toEqual(['SmolLM2 135M in 4 bits']);
  expect(labels(benchReport(), benchReport({ form: 'stored' }))).toEqual([
    'SmolLM2 135M in 4 bits',
    'SmolLM2 135M',
  ]);
  const [first, second, third] = labels(
    benchReport(),
    benchReport({ date: '2026-05-06T07:08:09Z' }),
    benchReport(),
  );
  expect(first).toMatch(/^SmolLM2 135M in 4 bits · Jan \d/);
  expect(second).toMatch(/^SmolLM2 135M in 4 bits · May \d/);
  expect(third).toBe(`${first} (2)`);
});

it('has as many ticks as there is room for', () => {
  expect(logTicks(0.3, 30, 9)).toEqual([0.5, 1, 2, 5, 10, 20]);
  expect(logTicks(0.3, 3000, 5)).toEqual([1, 10, 100, 1000]);
  expect(logTicks(1e-3, 1e9, 5)).toEqual([1e-3, 1, 1e3, 1e6, 1e9]);
  // Of a range without any power of ten in it, too.
  expect(logTicks(2, 5, 1)).toEqual([]);
});

it('places labels where there is room, and leaves out the others', () => {
  const area = { left: 0, top: 0, right: 100, bottom: 100 };
  const mark = (x: number, y: number) => ({ x, y, radius: 5, width: 30, height: 10 });
  const touch = (a: Box, b: Box): boolean =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const line = boxesAlong({ x: 0, y: 40 }, { x: 100, y: 40 }, 3);
  const boxes = placeLabels([mark(50, 50), mark(95, 80), mark(50, 62)], area, line);
  const placed = boxes.filter((box) => box !== undefined);
  expect(boxes[0]).toEqual({ left: 59, top: 45, right: 89, bottom: 55 });
  // Its right is out of the area.
  expect(boxes[1]).toEqual({ left: 56, top: 75, right: 86, bottom: 85 });
  for (const [i, box] of placed.entries()) {
    for (const other of [...placed.slice(0, i), ...line]) expect(touch(box, other)).toBe(false);
  }
  const crowd = placeLabels(
    Array.from({ length: 20 }, () => mark(50, 50)),
    area,
    [],
  );
  expect(crowd.filter((box) => box !== undefined).length).toBeLessThan(9);
});
