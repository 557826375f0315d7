/**
 * The roofline of adapters and where kernels and tests stand under it: operations per byte against operations per second,
 * both logarithmic (Williams, Waterman, Patterson: Roofline: An Insightful Visual Performance Model, 2009).
 *
 * @module
 */
import type { ChartData, Scale } from 'chart.js';
import type { RooflinePoint } from '../../../src/bench/index.ts';
import { formatFigure, formatPercent } from '../wording.ts';
import type { Draw, Drawing, LegendEntry, Mark } from './drawing.ts';
import { logTicks } from './log_ticks.ts';
import { fontOf, type Look } from './look.ts';
import { rangesOf, type RooflineData } from './roofline_data.ts';
import { labelsPlugin, radiusOf } from './roofline_labels.ts';
import { roofsPlugin } from './roofs.ts';

/** How to draw the roofline of reports. */
export function rooflineDraw(data: RooflineData): Draw {
  return (look) => drawRoofline(data, look);
}

function drawRoofline(data: RooflineData, look: Look): Drawing {
  const { x, y } = rangesOf(data);
  const marked = data.series.map(({ index, letter, points }) => ({
    letter,
    look: look.series(index),
    // Small marks over large ones, so that none is hidden.
    points: points.toSorted((a, b) => radiusOf(b) - radiusOf(a)),
  }));
  const datasets: ChartData['datasets'] = marked.map(({ points, look: { color, shape } }) => ({
    data: points.map(({ flopsPerByte, gigaflopsPerSecond }) => ({
      x: flopsPerByte,
      y: gigaflopsPerSecond,
    })),
    pointStyle: shape,
    pointRadius: points.map(radiusOf),
    pointHoverRadius: points.map((point) => radiusOf(point) + 2),
    pointHitRadius: 6,
    pointBackgroundColor: points.map(({ kind }) => (kind === 'model' ? 'transparent' : color)),
    pointBorderColor: points.map(({ kind }) => (kind === 'model' ? color : look.ground)),
    pointHoverBackgroundColor: color,
    pointBorderWidth: points.map(({ kind }) => (kind === 'model' ? 3 : 1)),
  }));
  const marks = marked.flatMap(({ letter, points }, datasetIndex) =>
    points.map((point, index): Mark => ({ datasetIndex, index, ...describe(letter, point) })),
  );
  const font = fontOf(look);
  const tick = {
    color: look.quiet,
    font,
    callback: (value: string | number) => formatFigure(+value),
  };
  const scale = (min: number, max: number, text: string) =>
    ({
      type: 'logarithmic',
      min,
      max,
      title: { display: true, text, color: look.ink, font },
      grid: { color: look.line },
      border: { color: look.quiet },
      ticks: { ...tick, autoSkip: false, maxRotation: 0 },
      afterBuildTicks(scale: Scale) {
        const room = scale.isHorizontal() ? scale.chart.width / 64 : scale.chart.height / 32;
        scale.ticks = logTicks(min, max, room).map((value) => ({ value }));
      },
    }) as const;
  return {
    type: 'scatter',
    data: { datasets },
    options: {
      interaction: { mode: 'nearest', intersect: true },
      scales: {
        x: scale(x.min, x.max, 'Operations per byte'),
        y: scale(
          y.min,
          y.max,
          look.isNarrow ? 'GFLOP/s' : 'Billion operations per second (GFLOP/s)',
        ),
      },
    },
    plugins: [roofsPlugin(data.roofs, look), labelsPlugin(marked, data.roofs, look)],
    marks,
    legend: [...legendOf(data, look)],
    height: look.isNarrow ? 400 : 480,
  };
}

/** Reports, and roofs where there are several; a single one has its figures written on it. */
function legendOf({ series, roofs }: RooflineData, look: Look): readonly LegendEntry[] {
  return [
    ...series.flatMap(({ index, letter, label }) =>
      letter === '' ? [] : [{ text: `${letter} ${label}`, ...look.series(index) }],
    ),
    ...roofs.flatMap(({ index, letter, adapter, gigabytesPerSecond, f32 }) =>
      letter === ''
        ? []
        : [
            {
              text: `${formatFigure(gigabytesPerSecond)} GB/s, ${formatFigure(f32)} GFLOP/s: ${adapter}`,
              color: look.series(index).color,
              shape: 'line' as const,
            },
          ],
    ),
  ];
}

/** What there is to say about a point. */
function describe(
  letter: string,
  point: RooflinePoint,
): { readonly title: string; readonly lines: readonly string[] } {
  const { kind, name, test, share, ofLimit } = point;
  return {
    title: kind === 'model' ? `${letter}${test}, whole` : `${letter}${name}`,
    lines: [
      ...(kind === 'kernel' ? [`${formatPercent(share)} of ${test}`] : []),
      `${formatFigure(point.gigabytesPerSecond)} GB/s`,
      `${formatFigure(point.gigaflopsPerSecond)} GFLOP/s`,
      `${formatFigure(point.flopsPerByte)} operations per byte`,
      `${formatPercent(ofLimit)} of the limit`,
    ],
  };
}
