/** Numbers and tables for people to read. @module */
import type { EngineStats } from '../engine/api.ts';
import { formatBytes, formatNumber } from '../util/format.ts';

export { formatBytes, formatNumber };

/** Columns as wide as their widest cell, two spaces apart; the first is set flush left, the others flush right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const pad = (cell: string, i: number): string =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  return rows.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`).join('');
}

/** The middle of a list of numbers, and the smallest and largest. */
export function summarize(values: readonly number[]): {
  readonly median: number;
  readonly min: number;
  readonly max: number;
} {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return {
    median: (lower + upper) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Adapter and memory of a model, for `--stats`. */
export function describeDevice({
  adapter,
  memory,
}: Pick<EngineStats, 'adapter' | 'memory'>): string {
  const parts = (['weights', 'kv', 'scratch', 'state', 'readback'] as const).map(
    (purpose) => `${purpose} ${formatBytes(memory[purpose])}`,
  );
  return [
    `adapter: ${adapter.description} (${adapter.isSoftware ? 'software, ' : ''}f16 ${adapter.hasF16 ? 'yes' : 'no'}, subgroups ${adapter.hasSubgroups ? 'yes' : 'no'})`,
    `GPU memory: ${formatBytes(memory.total)} (${parts.join(', ')})`,
    '',
  ].join('\n');
}
