import type { JSX } from 'preact';
import { adapterName, type BenchReport, deviceMarkdown } from '../../src/bench/index.ts';
import { copyText } from '../components/clipboard.ts';
import { FactList, type Facts } from '../components/facts.tsx';
import { Icon } from '../components/icons.tsx';
import { nameOfReport } from './models.ts';
import { formatFigure, formatMs } from './wording.ts';

/** What a bug report needs of a device; of each report its own, since kernels are chosen for a model. */
export function DeviceSection({
  reports,
}: {
  readonly reports: readonly BenchReport[];
}): JSX.Element {
  return (
    <section class="panel" aria-labelledby="device-title">
      <h3 id="device-title">Device</h3>
      {reports.map((report) => (
        <details key={`${report.date} ${nameOfReport(report)}`} class="device">
          <summary>
            {adapterName(report.adapter)}
            {reports.length > 1 && `, as it ran ${nameOfReport(report)}`}
          </summary>
          <FactList facts={deviceFacts(report)} />
          <h4>What it can do at most, as measured</h4>
          <FactList facts={peakFacts(report)} />
          <Kernels report={report} />
          <Limits report={report} />
          <button
            type="button"
            class="button"
            onClick={() => void copyText(deviceMarkdown(report))}
          >
            <Icon name="copy" />
            Copy for a bug report
          </button>
        </details>
      ))}
    </section>
  );
}

function deviceFacts({ adapter, device }: BenchReport): Facts {
  const basic: Facts = [
    ['Adapter', `${adapterName(adapter)}${adapter.isSoftware ? ' (software)' : ''}`],
    ['Vendor', adapter.vendor || 'not told'],
    ['Architecture', adapter.architecture || 'not told'],
  ];
  if (device === undefined) return basic;
  const { subgroups, used, features, timerTickMs, runtime } = device;
  return [
    ...basic,
    ['Subgroups', subgroups === undefined ? 'not told' : sizesOf(subgroups)],
    ['Features in use', used.features.join(', ') || 'none'],
    [
      'Other features',
      features.filter((name) => !used.features.includes(name)).join(', ') || 'none',
    ],
    ['Step of the clock', formatMs(timerTickMs)],
    ['Browser', runtime || 'not told'],
  ];
}

function peakFacts({ peaks }: BenchReport): Facts {
  if (peaks === null) return [['', 'not measured']];
  const { readGigabytesPerSecond, f32GigaflopsPerSecond, f16GigaflopsPerSecond } = peaks;
  return [
    ['Streaming reads', `${formatFigure(readGigabytesPerSecond.median)} GB/s`],
    ['Arithmetic, f32', `${formatFigure(f32GigaflopsPerSecond.median)} GFLOP/s`],
    ...(f16GigaflopsPerSecond === undefined
      ? []
      : ([['Arithmetic, f16', `${formatFigure(f16GigaflopsPerSecond.median)} GFLOP/s`]] as const)),
    ['A dispatch', `${formatFigure(peaks.dispatchUs.median)} µs`],
    ['To encode it', `${formatFigure(peaks.encodeUs.median)} µs`],
    ['Submit and read back', `${formatFigure(peaks.roundTripUs.median)} µs`],
  ];
}

/** What the check of the kernels found, and which of them were measured to be the fastest. */
function Kernels({ report: { selfTest, tuning } }: { readonly report: BenchReport }): JSX.Element {
  const chosen = Object.entries(tuning.chosen).map(
    ([name, variant]) => [name, describeChoice(variant, tuning.measuredMs?.[name])] as const,
  );
  return (
    <>
      <h4>Kernels</h4>
      <FactList
        facts={[
          ['Check of their results', describeSelfTest(selfTest)],
          ['Fastest ones', describeTuning(tuning)],
          ...chosen,
        ]}
      />
    </>
  );
}

function Limits({ report: { device } }: { readonly report: BenchReport }): JSX.Element | null {
  if (device === undefined) return null;
  const { limits, used } = device;
  return (
    <details>
      <summary>Limits of the adapter</summary>
      <FactList
        facts={Object.entries(limits).map(([name, value]) => {
          const own = used.limits[name];
          const isLess = own !== undefined && own !== value;
          return [
            name,
            `${value.toLocaleString('en')}${isLess ? ` (in use ${own.toLocaleString('en')})` : ''}`,
          ];
        })}
      />
    </details>
  );
}

function sizesOf({ min, max }: { readonly min: number; readonly max: number }): string {
  return min === max ? `${min} threads` : `${min} to ${max} threads`;
}

function describeSelfTest({ status, checked, dropped }: BenchReport['selfTest']): string {
  switch (status) {
    case 'skipped':
      return 'not made';
    case 'passed':
      return `passed (${checked.length})`;
    case 'failed':
      return `not used, since wrong here: ${dropped.map(({ variant }) => variant).join(', ')}`;
  }
}

/** What was chosen, and the times that say why. */
function describeChoice(
  variant: string,
  measuredMs: Readonly<Record<string, number>> = {},
): string {
  const times = Object.entries(measuredMs).sort(([, a], [, b]) => a - b);
  if (times.length === 0) return variant;
  return `${variant} (${times.map(([name, ms]) => `${name} ${formatMs(ms)}`).join(', ')})`;
}

function describeTuning({ status, chosen }: BenchReport['tuning']): string {
  const count = Object.keys(chosen).length;
  switch (status) {
    case 'skipped':
      return 'a fixed choice';
    case 'partial':
      return `${count} measured, until the time for it was up`;
    case 'complete':
      return `${count} measured`;
  }
}
