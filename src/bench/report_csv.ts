import { adapterName } from './compare.ts';
import type { BenchReport, TestResult } from './report.ts';

type Cell = string | number | boolean | undefined;

/** Columns of {@link reportsCsv}, and what is in them. */
const COLUMNS: Readonly<Record<string, (report: BenchReport, result: TestResult) => Cell>> = {
  date: ({ date }) => date,
  model: ({ model }) => model.name,
  kind: ({ model }) => model.kind,
  parameters: ({ model }) => model.parameters,
  weights: ({ model }) => model.form,
  made_up: ({ model }) => model.isMadeUp,
  kv_cache: ({ settings }) => settings.kvDtype,
  adapter: ({ adapter }) => adapterName(adapter),
  software: ({ adapter }) => adapter.isSoftware,
  runtime: ({ device }) => device?.runtime,
  commit: ({ commit }) => commit ?? undefined,
  test: (_, { test }) => test,
  repetitions: ({ settings }) => settings.repetitions,
  tokens_per_second: (_, { tokensPerSecond }) => tokensPerSecond.median,
  min: (_, { tokensPerSecond }) => tokensPerSecond.min,
  max: (_, { tokensPerSecond }) => tokensPerSecond.max,
  sd: (_, { tokensPerSecond }) => tokensPerSecond.sd,
  texts_per_second: (_, { textsPerSecond }) => textsPerSecond?.median,
  first_token_ms: (_, { firstTokenMs }) => firstTokenMs?.median,
  limit_by: (_, { limit }) => limit?.by,
  limit_tokens_per_second: (_, { limit }) => limit?.tokensPerSecond,
  share_of_limit: (_, { limit }) => limit?.share,
  gigabytes_per_second: (_, { gigabytesPerSecond }) => gigabytesPerSecond,
  gigaflops_per_second: (_, { gigaflopsPerSecond }) => gigaflopsPerSecond,
  dispatches_per_token: (_, { callsPerToken }) => callsPerToken?.dispatches,
  passes_per_token: (_, { callsPerToken }) => callsPerToken?.passes,
  submits_per_token: (_, { callsPerToken }) => callsPerToken?.submits,
  readbacks_per_token: (_, { callsPerToken }) => callsPerToken?.readbacks,
  objects_per_token: (_, { callsPerToken: calls }) =>
    calls && calls.buffers + calls.bindGroups + calls.pipelines + calls.shaderModules,
  cold_load_ms: ({ load }) => load?.coldMs,
  warm_load_ms: ({ load }) => load?.warmMs,
  peak_gpu_bytes: ({ memory }) => memory.peakBytes,
  peak_page_bytes: ({ memory }) => memory.pageBytes?.peak,
  doubts: ({ doubts }, { test }) =>
    doubts
      .filter((doubt) => doubt.test === undefined || doubt.test === test)
      .map(({ kind, message }) => `${kind}: ${message}`)
      .join('; '),
};

/**
 * All figures as a table for spreadsheets: a row for each test, as RFC 4180 has it, ended by CR and LF. Texts that a
 * spreadsheet would take for a formula begin with an apostrophe.
 */
export function reportsCsv(reports: readonly BenchReport[]): string {
  const cells = Object.values(COLUMNS);
  const rows = reports.flatMap((report) =>
    report.results.map((result) => cells.map((cell) => cell(report, result))),
  );
  return [Object.keys(COLUMNS), ...rows].map((row) => `${row.map(quote).join(',')}\r\n`).join('');
}

function quote(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell !== 'string') return String(cell);
  const text = /^[=+\-@\t\r\n]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
