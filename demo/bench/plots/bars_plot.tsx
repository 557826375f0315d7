import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { BenchReport } from '../../../src/bench/index.ts';
import { letterOf, nameOf } from '../records/naming.ts';
import { formatPercent } from '../wording.ts';
import { barsDraw, formatValue, isTime } from './bars_chart.ts';
import { type BarsData, barsData, type Measure, MEASURE_TITLES } from './bars_data.ts';
import { Figure } from './figure.tsx';

/** Bars of one measure, a group for each test and a bar for each report; nothing if none has it. */
export function BarsPlot({
  reports,
  measure,
}: {
  readonly reports: readonly BenchReport[];
  readonly measure: Measure;
}): JSX.Element | null {
  const data = useMemo(() => barsData(reports, measure), [reports, measure]);
  const draw = useMemo(() => barsDraw(data), [data]);
  if (data.bars.length === 0) return null;
  return (
    <Figure
      title={MEASURE_TITLES[measure]}
      subtitle={nameOf(reports)}
      note={noteOf(data)}
      label={labelOf(data)}
      draw={draw}
      table={<BarsTable data={data} />}
    />
  );
}

function noteOf({ measure, bars }: BarsData): string {
  const hasLimits = bars.some(({ limit }) => limit !== undefined);
  const hasRanges = bars.some(({ range }) => range !== undefined);
  return [
    isTime(measure) ? 'Shorter is better.' : 'Longer is better.',
    ...(hasRanges ? ['Whiskers: least to most.'] : []),
    ...(hasLimits ? ['Dashed, or an arrow if far off: the limit of the device.'] : []),
  ].join(' ');
}

function labelOf({ measure, bars, labels }: BarsData): string {
  const values = bars.map(
    ({ group, report, median }) =>
      `${labels.length > 1 ? `${labels[report] ?? ''}, ` : ''}${group}: ${formatValue(measure, median)}`,
  );
  return `Bar plot: ${MEASURE_TITLES[measure]}. ${values.join('; ')}.`;
}

function BarsTable({ data: { measure, bars, labels } }: { readonly data: BarsData }): JSX.Element {
  const value = (figure: number | undefined): string =>
    figure === undefined ? '–' : formatValue(measure, figure);
  const hasLimits = bars.some(({ limit }) => limit !== undefined);
  return (
    <table class="figures">
      <thead>
        <tr>
          <th scope="col">{measure === 'load' ? 'Load' : 'Test'}</th>
          <th scope="col" class="wordy">
            Report
          </th>
          <th scope="col">Median</th>
          <th scope="col">Least</th>
          <th scope="col">Most</th>
          {hasLimits && <th scope="col">Limit</th>}
          {hasLimits && <th scope="col">Of the limit</th>}
        </tr>
      </thead>
      <tbody>
        {bars.map(({ group, report, median, range, limit }) => (
          <tr key={`${group} ${report}`}>
            <th scope="row">{group}</th>
            <td class="wordy">
              {labels.length > 1 ? `${letterOf(report)} ${labels[report]}` : labels[report]}
            </td>
            <td>{value(median)}</td>
            <td>{value(range?.min)}</td>
            <td>{value(range?.max)}</td>
            {hasLimits && <td>{value(limit)}</td>}
            {hasLimits && <td>{limit === undefined ? '–' : formatPercent(median / limit)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
