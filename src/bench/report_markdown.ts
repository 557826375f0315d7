/** Reports as Markdown that can be pasted into an issue. @module */
import { formatBytes, formatNumber, formatShare } from '../util/format.ts';
import { adapterName } from './compare.ts';
import type { Calls } from './count_calls.ts';
import type { DeviceReport } from './device_report.ts';
import type { BenchReport, MemoryUse, TestResult } from './report.ts';
import type { Spread } from './statistics.ts';

/** Tables of reports, those of one device under one heading: settings, figures with their spread and limit, doubts. */
export function reportsMarkdown(reports: readonly BenchReport[]): string {
  return `${reports.map(reportMarkdown).join('\n\n')}\n`;
}

/** What is told of a device: all of a report, or what `readDevice` found where nothing was measured. */
type DeviceFindings = Pick<BenchReport, 'device' | 'commit'> &
  Partial<Pick<BenchReport, 'selfTest' | 'tuning'>> & {
    readonly adapter: Parameters<typeof adapterName>[0] & { readonly isSoftware: boolean };
  };

/** A device and what was found out about it: for a bug report. */
export function deviceMarkdown(findings: DeviceFindings): string {
  const { adapter, device, commit, tuning } = findings;
  const rows = [
    ['adapter', adapterName(adapter)],
    ['software', adapter.isSoftware ? 'yes' : 'no'],
    ...(commit ? [['commit', commit]] : []),
    ...(device === undefined ? [] : deviceRows(device)),
    ...checkRows(findings),
  ].filter(([, value]) => value !== '');
  const chosen = Object.entries(tuning?.chosen ?? {}).map(([name, variant]) => [
    name,
    variant,
    timesText(tuning?.measuredMs?.[name]),
  ]);
  return [
    table([['device', ''], ...rows]),
    ...(chosen.length === 0 ? [] : [table([['choice', 'fastest', 'measured'], ...chosen])]),
  ].join('\n\n');
}

function deviceRows(device: DeviceReport): readonly (readonly string[])[] {
  const { subgroups, used } = device;
  return [
    ['runtime', device.runtime],
    ['subgroups', subgroups === undefined ? '' : `${subgroups.min} to ${subgroups.max} threads`],
    ['clock', `steps of ${formatNumber(device.timerTickMs)} ms`],
    ['features', device.features.join(', ')],
    ['features in use', used.features.join(', ')],
    ['WGSL', device.languageFeatures.join(', ')],
    ['limits', limitsText(device.limits)],
    ['limits in use', limitsText(used.limits)],
  ];
}

function checkRows({ selfTest, tuning }: DeviceFindings): readonly (readonly string[])[] {
  const dropped = selfTest?.dropped.map(({ variant, reason }) => `${variant} (${reason})`) ?? [];
  return [
    ...(selfTest === undefined
      ? []
      : [
          ['kernel check', `${selfTest.status}, ${selfTest.checked.length} variants`],
          ['dropped', dropped.length === 0 ? 'none' : dropped.join('; ')],
        ]),
    ...(tuning === undefined ? [] : [['tuning', tuning.status]]),
  ];
}

function reportMarkdown(report: BenchReport): string {
  const { model, device, settings, peaks, results, doubts, notes } = report;
  const form = model.form === 'stored' ? 'as stored' : model.form;
  const facts = [
    ['adapter', adapterName(report.adapter)],
    ['runtime', device?.runtime],
    ['measured', [report.date, report.commit].filter(Boolean).join(', commit ')],
    ['command', report.command && `\`${report.command}\``],
    ['model', `${model.modelType}, ${formatCount(model.parameters)} parameters`],
    ['KV cache', settings.kvDtype],
    ['ceilings', peaks && ceilingsText(peaks)],
    ['load', report.load && loadText(report.load)],
    ['memory', memoryText(report.memory)],
  ] as const;
  const told = facts.flatMap(([name, value]) => (value ? [[name, value]] : []));
  const calls = results.flatMap(({ test, callsPerToken }) =>
    callsPerToken === undefined ? [] : [`Per token of ${test}: ${callsText(callsPerToken)}.`],
  );
  return [
    `### ${escape(model.name)}, ${form}${model.isMadeUp ? ', made-up weights' : ''}`,
    table([['', ''], ...told]),
    table([
      ['test', 'tokens/s', 'min–max', 'of limit', 'first token', 'GB/s', 'GFLOP/s'],
      ...results.map(resultRow),
    ]),
    `Medians of ${settings.repetitions} repetition${settings.repetitions === 1 ? '' : 's'}. ${calls.slice(0, 1).join('')}`.trim(),
    ...results.flatMap(profileTable),
    ...(doubts.length + notes.length === 0
      ? []
      : [
          [
            ...doubts.map(
              ({ kind, test, message }) =>
                `- **${kind}**${test === undefined ? '' : ` (${escape(test)})`}: ${escape(message)}`,
            ),
            ...notes.map((note) => `- ${escape(note)}`),
          ].join('\n'),
        ]),
  ].join('\n\n');
}

function resultRow(result: TestResult): readonly string[] {
  const { test, tokensPerSecond, limit, firstTokenMs, gigabytesPerSecond, gigaflopsPerSecond } =
    result;
  return [
    test,
    formatNumber(tokensPerSecond.median),
    rangeText(tokensPerSecond),
    limit === undefined ? '' : `${formatShare(limit.share)} (${limit.by})`,
    firstTokenMs === undefined ? '' : `${formatNumber(firstTokenMs.median)} ms`,
    gigabytesPerSecond === undefined ? '' : formatNumber(gigabytesPerSecond),
    gigaflopsPerSecond === undefined ? '' : formatNumber(gigaflopsPerSecond),
  ];
}

function profileTable({ test, profile }: TestResult): readonly string[] {
  if (profile === undefined) return [];
  const rows = profile.kernels.map((kernel) => [
    `${kernel.name} ${kernel.label}`.trimEnd(),
    `${kernel.dispatches}`,
    formatNumber(kernel.ms.median),
    formatShare(kernel.share),
    `${formatNumber(kernel.gigabytesPerSecond)}${ofText(kernel.ofBandwidth)}`,
    kernel.flops === 0
      ? ''
      : `${formatNumber(kernel.gigaflopsPerSecond)}${ofText(kernel.ofArithmetic)}`,
  ]);
  const head = [`last step of ${test}`, 'dispatches', 'ms', 'share', 'GB/s', 'GFLOP/s'];
  return [table([head, ...rows])];
}

/** A table of GitHub's Markdown; the first row is its head. */
function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly string[]): string => `| ${cells.map(escape).join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 || head.length < 3 ? '---' : '---:'));
  return [line(head), `| ${rule.join(' | ')} |`, ...body.map(line)].join('\n');
}

/** Text from files can neither leave its cell nor be markup. */
function escape(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  // In a code span a backslash is itself, but before a bar.
  if (/^`[^`]+`$/.test(line)) return line.replaceAll('|', '\\|');
  return line.replaceAll(/[\\|<>*_[\]]/g, '\\$&');
}

function rangeText({ min, max }: Spread): string {
  return `${formatNumber(min)}–${formatNumber(max)}`;
}

function ofText(share: number | undefined): string {
  return share === undefined ? '' : ` (${formatShare(share)})`;
}

function ceilingsText(peaks: NonNullable<BenchReport['peaks']>): string {
  const f16 = peaks.f16GigaflopsPerSecond;
  return [
    `read ${formatNumber(peaks.readGigabytesPerSecond.median)} GB/s`,
    `f32 ${formatNumber(peaks.f32GigaflopsPerSecond.median)} GFLOP/s`,
    ...(f16 === undefined ? [] : [`f16 ${formatNumber(f16.median)} GFLOP/s`]),
    `dispatch ${formatNumber(peaks.dispatchUs.median)} µs`,
    `submit and read back ${formatNumber(peaks.roundTripUs.median)} µs`,
  ].join(', ');
}

function loadText({ coldMs, warmMs }: NonNullable<BenchReport['load']>): string {
  const warm = warmMs === undefined ? '' : `, again ${formatNumber(warmMs / 1000)} s`;
  return `${formatNumber(coldMs / 1000)} s${warm}`;
}

function memoryText({ total, peakBytes, pageBytes }: MemoryUse): string {
  const peak = peakBytes === undefined ? '' : `, at most ${formatBytes(peakBytes)}`;
  const page = pageBytes === undefined ? '' : `; ${pageBytes.of} ${formatBytes(pageBytes.peak)}`;
  return `GPU ${formatBytes(total)}${peak}${page}`;
}

function callsText(calls: Calls): string {
  const { buffers, bindGroups, pipelines, shaderModules } = calls;
  return [
    `${formatNumber(calls.dispatches)} dispatches`,
    `${formatNumber(calls.passes)} passes`,
    `${formatNumber(calls.submits)} submits`,
    `${formatNumber(calls.readbacks)} read-backs`,
    `${formatNumber(buffers + bindGroups + pipelines + shaderModules)} objects created`,
  ].join(', ');
}

function timesText(times: Readonly<Record<string, number>> | undefined): string {
  if (times === undefined) return 'earlier';
  return Object.entries(times)
    .map(([name, ms]) => `${name} ${formatNumber(ms)} ms`)
    .join(', ');
}

function limitsText(limits: Readonly<Record<string, number>>): string {
  return Object.entries(limits)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function formatCount(count: number): string {
  const [unit, name] =
    count >= 1e9 ? [1e9, ' billion'] : count >= 1e6 ? [1e6, ' million'] : [1, ''];
  return unit === 1 ? `${count}` : `${formatNumber(count / unit)}${name}`;
}
