/** How plots look: the page's fonts and colors, as a canvas wants them. @module */
import type { PointStyle } from 'chart.js';

/** Colors and sizes of a plot. */
export interface Look {
  readonly ink: string;
  readonly quiet: string;
  readonly line: string;
  readonly ground: string;
  readonly fontFamily: string;
  /** In CSS pixels. */
  readonly fontSize: number;
  /** As wide as a phone: fewer ticks, shorter texts. */
  readonly isNarrow: boolean;
  /** Color and shape of each report's marks. */
  readonly series: (index: number) => SeriesLook;
}

/** What tells the marks of one report from those of another. */
export interface SeriesLook {
  readonly color: string;
  readonly shape: PointStyle;
}

/** As many as plots.css defines. */
const COLORS = 6;

/** Those that are told apart when small. */
const SHAPES: readonly PointStyle[] = ['circle', 'triangle', 'rect', 'rectRot', 'star', 'crossRot'];

/** In CSS pixels. */
const NARROW = 520;

/**
 * The look of what is drawn in an element.
 *
 * @param width - of the plot, in CSS pixels
 */
export function readLook(element: HTMLElement, width: number): Look {
  const style = getComputedStyle(element);
  // A custom property would be read as it is written, `light-dark()` and all.
  const probe = document.createElement('span');
  probe.hidden = true;
  element.append(probe);
  const colorOf = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colors = Array.from({ length: COLORS }, (_, i) => colorOf(`--series-${i + 1}`));
  const look: Look = {
    ink: colorOf('--ink'),
    quiet: colorOf('--quiet'),
    line: colorOf('--line'),
    ground: colorOf('--raised'),
    fontFamily: style.fontFamily,
    fontSize: Number.parseFloat(style.fontSize),
    isNarrow: isNarrow(width),
    series: (index) => ({
      color: colors[index % COLORS] ?? '',
      // After six, a color comes again with another shape.
      shape: SHAPES[(index + Math.floor(index / COLORS)) % SHAPES.length] ?? 'circle',
    }),
  };
  probe.remove();
  return look;
}

/** The font of a plot's parts, as Chart.js wants it. */
export function fontOf({ fontFamily, fontSize }: Look): {
  readonly family: string;
  readonly size: number;
} {
  return { family: fontFamily, size: fontSize - 1 };
}

/** Whether a plot is as wide as a phone. */
export function isNarrow(width: number): boolean {
  return width < NARROW;
}
