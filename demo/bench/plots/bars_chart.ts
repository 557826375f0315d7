/** Bars of what was measured, with the range of its repetitions as whiskers and its limit as a tick. @module */
import type { ChartData, Plugin, Scale } from 'chart.js';
import { letterOf } from '../records/naming.ts';
import { formatFigure, formatMs, formatPercent } from '../wording.ts';
import type { Bar, BarsData, Measure } from './bars_data.ts';
import type { Draw, Drawing, LegendEntry, Mark } from './drawing.ts';
import { fontOf, type Look } from './look.ts';

/** Of a bar and of the gap between two groups, in CSS pixels. */
const BAR_HEIGHT = 24;
const GROUP_GAP = 14;
/** Of the axis below, with its title. */
const AXIS_HEIGHT = 56;

/** Limits that are further away would make all bars small: an arrow stands for them. */
const FARTHEST_LIMIT = 4;

/** Whether the figures are times, of which less is better. */
export function isTime(measure: Measure): boolean {
  return measure === 'firstToken' || measure === 'load';
}

/** A value with its unit. */
export function formatValue(measure: Measure, value: number): string {
  return isTime(measure) ? formatMs(value) : `${formatFigure(value)} tokens/s`;
}

/** How to draw bars. */
export function barsDraw(data: BarsData): Draw {
  return (look) => drawBars(data, look);
}

function drawBars({ measure, groups, labels, bars }: BarsData, look: Look): Drawing {
  const isAlone = labels.length === 1;
  const letters = labels.map((_, i) => (isAlone ? '' : `${letterOf(i)}  `));
  const present = new Set(bars.map(({ report }) => report));
  const legend = isAlone
    ? []
    : labels.flatMap((label, i) =>
        present.has(i)
          ? [{ ...look.series(i), text: `${letterOf(i)}  ${label}`, shape: 'rect' as const }]
          : [],
      );
  const byReport = labels.map((_, report) =>
    groups.map((group) => bars.find((bar) => bar.report === report && bar.group === group)),
  );
  const datasets: ChartData['datasets'] = byReport.map((row, report) => ({
    data: row.map((bar) => bar?.median ?? null),
    backgroundColor: look.series(report).color,
    borderRadius: 3,
    barPercentage: 0.86,
    categoryPercentage: barsPart(bars, groups),
    skipNull: true,
  }));
  const marks = groups.flatMap((group, index) =>
    byReport.flatMap((row, datasetIndex): readonly Mark[] => {
      const bar = row[index];
      if (bar === undefined) return [];
      const title = `${letters[datasetIndex] ?? ''}${group}`;
      return [{ datasetIndex, index, title, lines: describe(measure, bar) }];
    }),
  );
  const font = fontOf(look);
  const tick = { color: look.quiet, font };
  return {
    type: 'bar',
    data: { labels: [...groups], datasets },
    options: {
      indexAxis: 'y',
      interaction: { mode: 'nearest', intersect: true },
      scales: {
        x: {
          beginAtZero: true,
          max: longestOf(bars),
          title: { display: true, text: axisTitle(measure), color: look.ink, font },
          grid: { color: look.line },
          ticks: {
            ...tick,
            maxTicksLimit: look.isNarrow ? 5 : 9,
            maxRotation: 0,
            callback: (value) => formatFigure(+value),
          },
          // The end of the axis is where the longest bar ends, which is no round number.
          afterBuildTicks(scale: Scale) {
            if (scale.ticks.length > 2) scale.ticks.pop();
          },
        },
        y: { grid: { display: false }, ticks: { ...tick, color: look.ink, autoSkip: false } },
      },
    },
    plugins: [rangesPlugin(byReport, letters, look)],
    marks,
    legend,
    height:
      bars.length * BAR_HEIGHT +
      groups.length * GROUP_GAP +
      AXIS_HEIGHT +
      legendRows(legend, look) * (look.fontSize + 12),
  };
}

/** What there is to say about a bar. */
function describe(measure: Measure, { median, range, limit }: Bar): readonly string[] {
  const value = (figure: number): string => formatValue(measure, figure);
  return [
    value(median),
    ...(range ? [`${value(range.min)} to ${value(range.max)}`] : []),
    ...(limit === undefined
      ? []
      : [`${formatPercent(median / limit)} of the limit, ${value(limit)}`]),
  ];
}

function axisTitle(measure: Measure): string {
  return isTime(measure) ? 'Milliseconds (less is better)' : 'Tokens per second';
}

/** Part of a group's height that its bars take. */
function barsPart(bars: readonly Bar[], groups: readonly string[]): number {
  const all = bars.length * BAR_HEIGHT;
  return all / (all + groups.length * GROUP_GAP);
}

function longestOf(bars: readonly Bar[]): number {
  const longest = Math.max(...bars.map(({ median, range }) => range?.max ?? median));
  const limits = bars.flatMap(({ limit }) => limit ?? []);
  return 1.02 * Math.max(longest, Math.min(Math.max(0, ...limits), FARTHEST_LIMIT * longest));
}

/** Rows that a legend takes about: letters are half as wide as they are high. */
function legendRows(legend: readonly LegendEntry[], look: Look): number {
  const perRow = look.isNarrow ? 40 : 110;
  return Math.ceil(legend.reduce((sum, { text }) => sum + text.length + 8, 0) / perRow);
}

/** Draws whiskers, limits, and the value at the end of each bar. */
function rangesPlugin(
  rows: readonly (readonly (Bar | undefined)[])[],
  letters: readonly string[],
  look: Look,
): Plugin {
  return {
    id: 'ranges',
    afterDatasetsDraw(chart) {
      const { ctx, chartArea } = chart;
      const { x: scale } = chart.scales;
      if (scale === undefined) return;
      ctx.save();
      for (const [i, row] of rows.entries()) {
        const elements = chart.getDatasetMeta(i).data;
        for (const [j, bar] of row.entries()) {
          const element = elements[j];
          if (bar === undefined || element === undefined) continue;
          const place = {
            left: chartArea.left,
            right: chartArea.right,
            end: element.x,
            middle: element.y,
            half: (BAR_HEIGHT * 0.86) / 2,
          };
          drawRange(ctx, scale, place, bar, look);
          drawLimit(ctx, scale, place, bar, look);
          drawValue(ctx, scale, place, bar, letters[i] ?? '', look);
        }
      }
      ctx.restore();
    },
  };
}

/** Where a bar lies, in CSS pixels. */
interface Place {
  readonly left: number;
  readonly right: number;
  readonly end: number;
  readonly middle: number;
  readonly half: number;
}

function drawRange(
  ctx: CanvasRenderingContext2D,
  scale: Scale,
  { middle, half }: Place,
  { range }: Bar,
  look: Look,
): void {
  if (range === undefined) return;
  const [min, max] = [scale.getPixelForValue(range.min), scale.getPixelForValue(range.max)];
  const path = new Path2D();
  path.moveTo(min, middle);
  path.lineTo(max, middle);
  for (const x of [min, max]) {
    path.moveTo(x, middle - half / 2);
    path.lineTo(x, middle + half / 2);
  }
  // A light edge, to be seen on the bar and beside it.
  ctx.lineWidth = 4;
  ctx.strokeStyle = look.ground;
  ctx.stroke(path);
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = look.ink;
  ctx.stroke(path);
}

function drawLimit(
  ctx: CanvasRenderingContext2D,
  scale: Scale,
  { right, middle, half }: Place,
  { limit }: Bar,
  look: Look,
): void {
  if (limit === undefined) return;
  ctx.strokeStyle = look.ink;
  ctx.lineWidth = 2;
  ctx.beginPath();
  if (limit <= scale.max) {
    const x = scale.getPixelForValue(limit);
    ctx.setLineDash([3, 2]);
    ctx.moveTo(x, middle - half);
    ctx.lineTo(x, middle + half);
  } else {
    ctx.setLineDash([]);
    ctx.moveTo(right - 10, middle - 5);
    ctx.lineTo(right - 4, middle);
    ctx.lineTo(right - 10, middle + 5);
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

/** After the bar or, where there is no room, inside it. */
function drawValue(
  ctx: CanvasRenderingContext2D,
  scale: Scale,
  { left, right, end, middle }: Place,
  { median, range, limit }: Bar,
  letter: string,
  look: Look,
): void {
  const share = limit === undefined ? '' : ` · ${formatPercent(median / limit)}`;
  const text = `${letter}${formatFigure(median)}${share}`;
  ctx.font = `600 ${look.fontSize - 1}px ${look.fontFamily}`;
  ctx.textBaseline = 'middle';
  const { width } = ctx.measureText(text);
  const past = (x: number): number => x + 8;
  const limitAt =
    limit === undefined || limit > scale.max ? Infinity : scale.getPixelForValue(limit);
  const after = past(Math.max(end, scale.getPixelForValue(range?.max ?? median)));
  const edge = limit !== undefined && limit > scale.max ? right - 14 : right;
  const isOverLimit = limitAt > after - 8 && limitAt < after + width + 4;
  const start = isOverLimit ? past(limitAt) : after;
  if (start + width <= edge) {
    ctx.fillStyle = look.ink;
    ctx.fillText(text, start, middle);
    return;
  }
  // The whisker's lower end may lie there.
  const before = scale.getPixelForValue(range?.min ?? median) - 8 - width;
  ctx.fillStyle = look.ground;
  if (before > left) ctx.fillText(text, before, middle);
}
