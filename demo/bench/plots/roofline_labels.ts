/** The names of marks under a roofline. @module */
import type { Plugin } from 'chart.js';
import type { RooflinePoint } from '../../../src/bench/index.ts';
import type { Look } from './look.ts';
import type { Roof } from './roofline_data.ts';
import { linesOf, textsOf } from './roofs.ts';
import { boxesAlong, boxOf, placeLabels } from './text_boxes.ts';

/** The marks of a report, in the order of its dataset. */
export interface Marked {
  readonly letter: string;
  readonly points: readonly RooflinePoint[];
}

/** Radius of a kernel's mark by its share of the step, and that of a test's, in CSS pixels. */
export function radiusOf({ kind, share }: RooflinePoint): number {
  return kind === 'model' ? 8 : 2.5 + 6 * Math.sqrt(share);
}

/** The names of tests and, of a single report, of the kernels that take longest: where there is room. */
export function labelsPlugin(
  marked: readonly Marked[],
  roofs: readonly Roof[],
  look: Look,
): Plugin {
  const most = marked.length > 1 ? 0 : look.isNarrow ? 4 : 8;
  return {
    id: 'labels',
    afterDatasetsDraw(chart) {
      const { ctx, chartArea } = chart;
      const points = marked.flatMap(({ letter, points }, i) => {
        const elements = chart.getDatasetMeta(i).data;
        return points.flatMap((point, j) => {
          const at = elements[j];
          const text = letter + (point.kind === 'model' ? point.test : point.name);
          return at === undefined
            ? []
            : [{ point, text, x: at.x, y: at.y, radius: radiusOf(point) }];
        });
      });
      const ranked = points.toSorted((a, b) => rank(a.point) - rank(b.point));
      const tests = points.filter(({ point }) => point.kind === 'model').length;
      ctx.save();
      const labels = ranked.slice(0, tests + most).map((label) => {
        ctx.font = labelFont(label.point, look);
        return { ...label, width: ctx.measureText(label.text).width, height: look.fontSize };
      });
      const lines = roofs.flatMap((roof) => linesOf(chart, roof, look));
      const boxes = placeLabels(labels, chartArea, [
        ...points.map(boxOf),
        ...lines.flatMap(({ line: [from, to] }) => boxesAlong(from, to, 3)),
        ...roofs.flatMap((roof) => textsOf(chart, roof, look).flatMap(({ boxes }) => boxes)),
      ]);
      ctx.textBaseline = 'middle';
      for (const [i, { text, point }] of labels.entries()) {
        const box = boxes[i];
        if (box === undefined) continue;
        ctx.font = labelFont(point, look);
        ctx.fillStyle = point.kind === 'model' ? look.ink : look.quiet;
        ctx.fillText(text, box.left, (box.top + box.bottom) / 2);
      }
      ctx.restore();
    },
  };
}

function labelFont({ kind }: RooflinePoint, { fontSize, fontFamily }: Look): string {
  return `${kind === 'model' ? 600 : 400} ${fontSize - 1}px ${fontFamily}`;
}

/** Tests first, then the kernels that take longest. */
function rank({ kind, share }: RooflinePoint): number {
  return kind === 'model' ? -1 : 1 - share;
}
