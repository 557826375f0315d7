import type { JSX } from 'preact';
import type { BenchReport } from '../../../src/bench/index.ts';
import { BarsPlot } from './bars_plot.tsx';
import { MEASURES } from './bars_data.ts';
import { RooflinePlot } from './roofline_plot.tsx';

/** Plots of all that reports have: the roofline, then bars of each measure. */
export function Plots({
  reports,
}: {
  readonly reports: readonly BenchReport[];
}): JSX.Element | null {
  if (reports.length === 0) return null;
  return (
    <div class="plots">
      <RooflinePlot reports={reports} />
      {MEASURES.map((measure) => (
        <BarsPlot key={measure} reports={reports} measure={measure} />
      ))}
    </div>
  );
}
