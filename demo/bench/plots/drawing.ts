/** What a plot consists of. @module */
import type { ChartData, ChartOptions, Plugin } from 'chart.js';
import type { Look, SeriesLook } from './look.ts';

/** A plot for one width and one set of colors. */
export interface Drawing {
  readonly type: 'scatter' | 'bar';
  readonly data: ChartData;
  /** Scales, and what else differs between plots. */
  readonly options: ChartOptions;
  readonly plugins: readonly Plugin[];
  /** What the pointer and the arrow keys find, in the order of the keys. */
  readonly marks: readonly Mark[];
  /** None: the plot needs no legend. */
  readonly legend: readonly LegendEntry[];
  /** In CSS pixels. */
  readonly height: number;
}

/** Draws a plot; the same plot in any width and any colors. */
export type Draw = (look: Look) => Drawing;

/** One value of a plot, and what there is to say about it. */
export interface Mark {
  readonly datasetIndex: number;
  readonly index: number;
  readonly title: string;
  readonly lines: readonly string[];
}

export interface LegendEntry extends SeriesLook {
  readonly text: string;
}

/** What a picture says besides the plot, as it stands alone. */
export interface Heading {
  readonly title: string;
  readonly subtitle: string;
}
