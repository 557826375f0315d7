import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { BenchReport } from '../../../src/bench/index.ts';
import { nameOf } from '../records/naming.ts';
import { formatFigure, formatPercent } from '../wording.ts';
import { Figure } from './figure.tsx';
import { rooflineDraw } from './roofline_chart.ts';
import { hasPoints, type RooflineData, rooflineData } from './roofline_data.ts';

/** The roofline of reports; nothing if the ceilings of none were measured. */
export function RooflinePlot({
  reports,
}: {
  readonly reports: readonly BenchReport[];
}): JSX.Element | null {
  const data = useMemo(() => rooflineData(reports), [reports]);
  const draw = useMemo(() => rooflineDraw(data), [data]);
  if (!hasPoints(data)) return null;
  return (
    <Figure
      title="Roofline"
      subtitle={nameOf(reports)}
      note={noteOf(data)}
      label={labelOf(data)}
      draw={draw}
      isWide
      table={<RooflineTable data={data} />}
    />
  );
}

function noteOf({ series }: RooflineData): string {
  const left = series.reduce((sum, { undrawn }) => sum + undrawn.length, 0);
  const hasKernels = series.some(({ points }) => points.some(({ kind }) => kind === 'kernel'));
  return [
    'The line is the most that this adapter was measured to do: under its slope, reading memory is the limit; under its level part, arithmetic.',
    'Rings are whole tests.',
    ...(hasKernels ? ['Dots are kernels, the larger the more of the step’s time they take.'] : []),
    ...(left > 0
      ? [`${left} without arithmetic ${left === 1 ? 'is' : 'are'} only in the table.`]
      : []),
  ].join(' ');
}

function labelOf({ roofs, series }: RooflineData): string {
  const ceilings = roofs.map(
    ({ adapter, gigabytesPerSecond, f32 }) =>
      `${adapter}: ${formatFigure(gigabytesPerSecond)} GB/s and ${formatFigure(f32)} GFLOP/s in f32`,
  );
  const tests = series.flatMap(({ points }) => points.filter(({ kind }) => kind === 'model'));
  const shares = tests.map(({ test, ofLimit }) => `${test} ${formatPercent(ofLimit)} of its limit`);
  return `Roofline plot. Ceilings of ${ceilings.join('; ')}. Tests: ${shares.join(', ')}. The table below has all of it.`;
}

function RooflineTable({ data: { roofs, series } }: { readonly data: RooflineData }): JSX.Element {
  return (
    <>
      <table class="figures">
        <caption>Ceilings, as measured</caption>
        <thead>
          <tr>
            <th scope="col">Adapter</th>
            <th scope="col">Reading, GB/s</th>
            <th scope="col">f32, GFLOP/s</th>
            <th scope="col">f16, GFLOP/s</th>
            <th scope="col">Each dispatch, µs</th>
          </tr>
        </thead>
        <tbody>
          {roofs.map(({ adapter, gigabytesPerSecond, f32, f16, dispatchUs }) => (
            <tr key={adapter}>
              <th scope="row">{adapter}</th>
              <td>{formatFigure(gigabytesPerSecond)}</td>
              <td>{formatFigure(f32)}</td>
              <td>{f16 === undefined ? '–' : formatFigure(f16)}</td>
              <td>{formatFigure(dispatchUs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {series.map(({ label, letter, points, undrawn }) => (
        <table class="figures" key={label}>
          <caption>{letter + label}</caption>
          <thead>
            <tr>
              <th scope="col">Test</th>
              <th scope="col">Kernel</th>
              <th scope="col">Share</th>
              <th scope="col">Operations per byte</th>
              <th scope="col">GB/s</th>
              <th scope="col">GFLOP/s</th>
              <th scope="col">Of the limit</th>
              <th scope="col" class="wordy">
                How that follows
              </th>
            </tr>
          </thead>
          <tbody>
            {[...points, ...undrawn].map((point, j) => (
              <tr key={j}>
                <th scope="row">{point.test}</th>
                <td>{point.kind === 'model' ? 'whole' : point.name}</td>
                <td>{formatPercent(point.share)}</td>
                <td>{formatFigure(point.flopsPerByte)}</td>
                <td>{formatFigure(point.gigabytesPerSecond)}</td>
                <td>{formatFigure(point.gigaflopsPerSecond)}</td>
                <td>{formatPercent(point.ofLimit)}</td>
                <td class="wordy formula-cell">{point.formula}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </>
  );
}
