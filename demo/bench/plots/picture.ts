import type { BenchReport } from '../../../src/bench/index.ts';
import { barsDraw } from './bars_chart.ts';
import { barsData, MEASURES, MEASURE_TITLES } from './bars_data.ts';
import { pictureOf } from './canvas_chart.ts';
import { rooflineDraw } from './roofline_chart.ts';
import { hasPoints, rooflineData } from './roofline_data.ts';

/**
 * A picture of reports, without a plot of theirs being on the page: of the roofline or, where no ceilings were measured, of
 * the first measure that they have.
 *
 * @throws {Error} if there is nothing to draw
 */
export async function pictureOfReports(
  reports: readonly BenchReport[],
  name: string,
): Promise<Blob> {
  const roofline = rooflineData(reports);
  if (hasPoints(roofline)) {
    return pictureOf(document.body, rooflineDraw(roofline), { title: 'Roofline', subtitle: name });
  }
  for (const measure of MEASURES) {
    const data = barsData(reports, measure);
    if (data.bars.length === 0) continue;
    const title = MEASURE_TITLES[measure];
    return pictureOf(document.body, barsDraw(data), { title, subtitle: name });
  }
  throw new Error('There is no figure to draw a picture of.');
}
