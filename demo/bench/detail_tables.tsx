import type { JSX } from 'preact';
import type { BenchReport, Calls, KernelProfile, ProfileReport } from '../../src/bench/index.ts';
import { formatFigure, formatMs, formatPercent } from './wording.ts';

const CALLS: readonly (readonly [keyof Calls, string])[] = [
  ['dispatches', 'Dispatches'],
  ['passes', 'Compute passes'],
  ['submits', 'Submits'],
  ['readbacks', 'Read-backs'],
  ['buffers', 'Buffers created'],
  ['bindGroups', 'Bind groups created'],
  ['pipelines', 'Pipelines created'],
  ['shaderModules', 'Shader modules created'],
];

/** What was asked of the GPU for one more token. */
export function CallsTable({ report }: { readonly report: BenchReport }): JSX.Element | null {
  const result = report.results.find(({ callsPerToken }) => callsPerToken !== undefined);
  const calls = result?.callsPerToken;
  if (calls === undefined) return null;
  return (
    <details>
      <summary>GPU calls for each token of {result?.test}</summary>
      <dl class="facts">
        {CALLS.map(([name, label]) => (
          <div key={name}>
            <dt>{label}</dt>
            <dd>{formatFigure(calls[name])}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** Where the time of each test's last step went. */
export function KernelTables({ report }: { readonly report: BenchReport }): JSX.Element {
  return (
    <>
      {report.results.map(({ test, profile }) =>
        profile === undefined ? null : (
          <details key={test} class="kernels">
            <summary>Kernels of {test}: where the time of a step goes</summary>
            <KernelTable test={test} profile={profile} />
          </details>
        ),
      )}
    </>
  );
}

function KernelTable({
  test,
  profile: { kernels, dispatches, kernelsMs, stepMs },
}: {
  readonly test: string;
  readonly profile: ProfileReport;
}): JSX.Element {
  return (
    <>
      <div class="table-frame" role="group" aria-label={`Kernels of ${test}`} tabIndex={0}>
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Kernel</th>
              <th scope="col">Share</th>
              <th scope="col">Time</th>
              <th scope="col">GB/s</th>
              <th scope="col">GFLOP/s</th>
            </tr>
          </thead>
          <tbody>
            {kernels.map((kernel) => (
              <KernelRow key={`${kernel.name} ${kernel.label}`} kernel={kernel} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">
        {dispatches} dispatches: {formatMs(kernelsMs)} each kernel by itself,{' '}
        {formatMs(stepMs.median)} the step as a whole. The percentages are of the measured streaming
        bandwidth and f32 arithmetic; caches can make it more than all.
      </p>
    </>
  );
}

function KernelRow({ kernel }: { readonly kernel: KernelProfile }): JSX.Element {
  const { name, label, dispatches, share, ms, flops, ofBandwidth, ofArithmetic } = kernel;
  return (
    <tr>
      <th scope="row">
        {name}
        <span class="quiet">
          {label} × {dispatches}
        </span>
      </th>
      <td>{formatPercent(share)}</td>
      <td>{formatMs(ms.median)}</td>
      <td>
        {formatFigure(kernel.gigabytesPerSecond)}
        {ofBandwidth !== undefined && <span class="quiet">{formatPercent(ofBandwidth)}</span>}
      </td>
      <td>
        {flops > 0 && formatFigure(kernel.gigaflopsPerSecond)}
        {flops > 0 && ofArithmetic !== undefined && (
          <span class="quiet">{formatPercent(ofArithmetic)}</span>
        )}
      </td>
    </tr>
  );
}
