/** Measurements for people to read. @module */
import type { KernelResult } from '../bench/kernel_bench.ts';
import type { Peaks } from '../bench/peaks.ts';
import type { ProfileReport } from '../bench/profile.ts';
import type { BenchReport, LoadTimes, MemoryUse, TestResult } from '../bench/report.ts';
import { runtimeName, type BenchFacts } from './bench_facts.ts';
import { formatShare } from '../util/format.ts';
import { formatBytes, formatNumber, formatTable } from './format.ts';

/** All of a report. */
export function describeBench(report: BenchReport & BenchFacts): string {
  const { model, settings, results, memory, peaks, load } = report;
  const sizes = [
    `${model.parameters} parameters`,
    model.isMadeUp
      ? `made up in ${model.form}`
      : model.form === 'stored'
        ? 'as in the files'
        : `in ${model.form}`,
    ...(settings.kvDtype === undefined ? [] : [`KV cache in ${settings.kvDtype}`]),
    `${settings.tokenBudget} tokens in a step at most`,
  ];
  const calls = results.find(({ callsPerToken }) => callsPerToken !== undefined);
  return [
    `model    ${model.name}, ${model.modelType} (${sizes.join(', ')})\n`,
    describeAdapter(report.adapter),
    describeFacts(report, report.date),
    ...report.notes.map((note) => `note     ${note}\n`),
    ...report.doubts.map(
      ({ test, message }) => `doubt    ${test === undefined ? '' : `${test}: `}${message}\n`,
    ),
    ...(peaks === null ? [] : [describePeaks(peaks)]),
    '\n',
    describeResults(results, settings.repetitions),
    ...(calls === undefined ? [] : ['\n', describeCalls(calls)]),
    ...results.flatMap(({ test, profile }) =>
      profile === undefined ? [] : ['\n', describeProfile(test, profile)],
    ),
    '\n',
    ...(load === undefined ? [] : [describeLoad(load)]),
    `GPU memory ${formatBytes(memory.total)}: weights ${formatBytes(memory.weights)}, KV cache ${formatBytes(memory.kv)}, scratch ${formatBytes(memory.scratch)}${peakText(memory)}\n`,
  ].join('');
}

function describeLoad({ coldMs, warmMs }: LoadTimes): string {
  const warm = warmMs === undefined ? '' : `, again in ${formatNumber(warmMs / 1000)} s`;
  return `loaded in ${formatNumber(coldMs / 1000)} s${warm}\n`;
}

function peakText({ peakBytes, pageBytes }: MemoryUse): string {
  const peak = peakBytes === undefined ? '' : `; at most ${formatBytes(peakBytes)}`;
  const page = pageBytes === undefined ? '' : `; ${pageBytes.of} ${formatBytes(pageBytes.peak)}`;
  return peak + page;
}

function describeAdapter(adapter: BenchReport['adapter']): string {
  const names = [adapter.vendor, adapter.architecture, adapter.description];
  const features = [
    adapter.isSoftware ? 'software' : 'hardware',
    adapter.hasF16 ? 'f16' : 'no f16',
    adapter.hasSubgroups ? 'subgroups' : 'no subgroups',
  ];
  return `adapter  ${names.filter((name) => name !== '').join(' ')} (${features.join(', ')})\n`;
}

export function describeFacts(facts: BenchFacts, date: string): string {
  const { commit, command } = facts;
  return [
    `runtime  ${runtimeName(facts)}\n`,
    `commit   ${commit ?? 'unknown'}, ${date}\n`,
    `command  ${command}\n`,
  ].join('');
}

export function describePeaks(peaks: Peaks): string {
  const of = (spread: { readonly median: number }): string => formatNumber(spread.median);
  const f16 = peaks.f16GigaflopsPerSecond;
  return [
    `ceilings read ${of(peaks.readGigabytesPerSecond)} GB/s of ${formatBytes(peaks.readBytes)}`,
    `f32 ${of(peaks.f32GigaflopsPerSecond)} GFLOP/s${f16 === undefined ? '' : `, f16 ${of(f16)} GFLOP/s`}`,
    `dispatch ${of(peaks.dispatchUs)} µs, to encode it ${of(peaks.encodeUs)} µs`,
    `submit and read back ${of(peaks.roundTripUs)} µs\n`,
  ].join('; ');
}

function describeResults(results: readonly TestResult[], repetitions: number): string {
  const number = (value: number | undefined): string =>
    value === undefined ? '' : formatNumber(value);
  return formatTable([
    [
      `${repetitions} repetitions`,
      'tokens/s',
      'min',
      'max',
      'sd',
      'texts/s',
      'first token ms',
      'GB/s',
      'GFLOP/s',
      'of limit',
    ],
    ...results.map((result) => [
      result.test,
      ...(['median', 'min', 'max', 'sd'] as const).map((key) =>
        number(result.tokensPerSecond[key]),
      ),
      number(result.textsPerSecond?.median),
      number(result.firstTokenMs?.median),
      number(result.gigabytesPerSecond),
      number(result.gigaflopsPerSecond),
      result.limit === undefined ? '' : `${formatShare(result.limit.share)} (${result.limit.by})`,
    ]),
  ]);
}

function describeCalls({ test, callsPerToken: calls }: TestResult): string {
  if (calls === undefined) return '';
  return formatTable([
    [`per token of ${test}`, 'calls'],
    ['dispatches', formatNumber(calls.dispatches)],
    ['compute passes', formatNumber(calls.passes)],
    ['submits', formatNumber(calls.submits)],
    ['read-backs', formatNumber(calls.readbacks)],
    ['buffers created', formatNumber(calls.buffers)],
    ['bind groups created', formatNumber(calls.bindGroups)],
    ['pipelines created', formatNumber(calls.pipelines)],
    ['shader modules created', formatNumber(calls.shaderModules)],
  ]);
}

function describeProfile(
  test: string,
  { kernels, kernelsMs, stepMs, dispatches }: ProfileReport,
): string {
  return formatTable([
    [`last step of ${test}`, 'dispatches', 'ms', 'share', 'GB/s', 'of peak', 'GFLOP/s', 'of peak'],
    ...kernels.map((kernel) => [
      `${kernel.name} ${kernel.label}`.trimEnd(),
      `${kernel.dispatches}`,
      formatNumber(kernel.ms.median),
      formatShare(kernel.share),
      formatNumber(kernel.gigabytesPerSecond),
      kernel.ofBandwidth === undefined ? '' : formatShare(kernel.ofBandwidth),
      kernel.flops === 0 ? '' : formatNumber(kernel.gigaflopsPerSecond),
      kernel.flops === 0 || kernel.ofArithmetic === undefined
        ? ''
        : formatShare(kernel.ofArithmetic),
    ]),
    ['sum of the kernels', `${dispatches}`, formatNumber(kernelsMs)],
    ['the step as a whole', '', formatNumber(stepMs.median)],
  ]);
}

/** Single operations. */
export function describeKernels(
  results: readonly KernelResult[],
  peaks: Peaks | undefined,
): string {
  const share = (value: number, most: number | undefined): string =>
    most === undefined || value === 0 ? '' : formatShare(value / most);
  return formatTable([
    ['operation', 'variant', 'µs', 'min', 'max', 'CPU µs', 'GB/s', '', 'GFLOP/s', ''],
    ...results.map(({ kernel, label, variant, us, cpuUs, gigabytesPerSecond, ...rest }) => [
      `${kernel} ${label}`,
      variant ?? '',
      ...[us.median, us.min, us.max].map(formatNumber),
      cpuUs === undefined ? '' : formatNumber(cpuUs.median),
      formatNumber(gigabytesPerSecond.median),
      share(gigabytesPerSecond.median, peaks?.readGigabytesPerSecond.median),
      formatNumber(rest.gigaflopsPerSecond.median),
      share(rest.gigaflopsPerSecond.median, peaks?.f32GigaflopsPerSecond.median),
    ]),
  ]);
}
