/** The roofs of a roofline plot: a slope that memory sets, and level parts that arithmetic sets. @module */
import type { Chart, Plugin } from 'chart.js';
import { formatFigure } from '../wording.ts';
import type { Look } from './look.ts';
import type { Roof } from './roofline_data.ts';
import { type Box, boxesAlong, isOver } from './text_boxes.ts';

/** In CSS pixels. */
interface Spot {
  readonly x: number;
  readonly y: number;
}

/** Draws the roofs under the points, with what they are. */
export function roofsPlugin(roofs: readonly Roof[], look: Look): Plugin {
  return {
    id: 'roofs',
    beforeDatasetsDraw(chart) {
      const { ctx, chartArea: area } = chart;
      ctx.save();
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      ctx.lineWidth = 1.5;
      for (const roof of roofs) {
        const color = roofs.length === 1 ? look.ink : look.series(roof.index).color;
        ctx.strokeStyle = color;
        ctx.fillStyle = color;
        for (const { line, isDashed } of linesOf(chart, roof, look)) {
          const [from, to] = line;
          ctx.setLineDash(isDashed ? [6, 4] : []);
          ctx.beginPath();
          ctx.moveTo(from.x, from.y);
          ctx.lineTo(to.x, to.y);
          ctx.stroke();
        }
        for (const { text, at, angle } of textsOf(chart, roof, look)) {
          ctx.save();
          ctx.font = roofFont(look);
          ctx.textAlign = 'right';
          ctx.translate(at.x, at.y);
          ctx.rotate(angle);
          ctx.fillText(text, -8, -6);
          ctx.restore();
        }
      }
      ctx.restore();
    },
  };
}

function roofFont({ fontSize, fontFamily }: Look): string {
  return `${fontSize - 1}px ${fontFamily}`;
}

type Line = readonly [from: Spot, to: Spot];

/** A straight part of a roof. */
interface RoofLine {
  readonly line: Line;
  /** What holds for f16 only. */
  readonly isDashed: boolean;
  /** What it is; empty where the next part says it. */
  readonly text: string;
}

/** The slope and the level part for f32, then those for f16. */
export function linesOf(
  { scales }: Chart,
  { gigabytesPerSecond, f32, f16 }: Roof,
  { isNarrow }: Look,
): readonly RoofLine[] {
  const { x, y } = scales;
  if (x === undefined || y === undefined) return [];
  const spot = (flopsPerByte: number, gigaflops: number): Spot => ({
    x: x.getPixelForValue(flopsPerByte),
    y: y.getPixelForValue(gigaflops),
  });
  const start = Math.max(x.min, y.min / gigabytesPerSecond);
  const ridge = spot(f32 / gigabytesPerSecond, f32);
  const slope: Line = [spot(start, start * gigabytesPerSecond), ridge];
  // The axis has the unit, too.
  const figures = (gigaflops: number, type: string): string =>
    isNarrow
      ? `${type}: ${formatFigure(gigaflops)}`
      : `${formatFigure(gigaflops)} GFLOP/s in ${type}`;
  const lines: RoofLine[] = [
    { line: slope, isDashed: false, text: `${formatFigure(gigabytesPerSecond)} GB/s` },
    { line: [ridge, spot(x.max, f32)], isDashed: false, text: figures(f32, 'f32') },
  ];
  if (f16 === undefined) return lines;
  const ridge16 = spot(Math.max(x.min, f16 / gigabytesPerSecond), f16);
  // Software may be slower in f16: then its slope is part of the other.
  if (f16 > f32) lines.push({ line: [ridge, ridge16], isDashed: true, text: '' });
  lines.push({ line: [ridge16, spot(x.max, f16)], isDashed: true, text: figures(f16, 'f16') });
  return lines;
}

/** A text above a line, that ends where it is. */
interface RoofText {
  readonly text: string;
  readonly at: Spot;
  readonly angle: number;
  /** What it covers. */
  readonly boxes: readonly Box[];
}

/** The figures of a roof, as far as there is room for them; of several roofs, the legend tells them. */
export function textsOf(chart: Chart, roof: Roof, look: Look): readonly RoofText[] {
  if (roof.letter !== '') return [];
  const { ctx } = chart;
  ctx.save();
  ctx.font = roofFont(look);
  const texts: RoofText[] = [];
  for (const { line, text } of linesOf(chart, roof, look)) {
    const placed = text === '' ? undefined : textOn(line, text, ctx.measureText(text).width, look);
    if (placed === undefined) continue;
    const isFree = texts.every((other) => !placed.boxes.some((box) => isOver(box, other.boxes)));
    if (isFree) texts.push(placed);
  }
  ctx.restore();
  return texts;
}

function textOn([from, to]: Line, text: string, width: number, look: Look): RoofText | undefined {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  if (length < width + 16) return undefined;
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  // The text's middle line, from its end to its beginning.
  const away = look.fontSize / 2 + 4;
  const along = (distance: number): Spot => ({
    x: to.x - Math.cos(angle) * distance + Math.sin(angle) * away,
    y: to.y - Math.sin(angle) * distance - Math.cos(angle) * away,
  });
  return { text, at: to, angle, boxes: boxesAlong(along(8), along(8 + width), look.fontSize / 2) };
}
