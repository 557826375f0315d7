/** How reports are called where several stand side by side. @module */
import { adapterName, type BenchReport } from '../../../src/bench/index.ts';
import { nameOfReport } from '../models.ts';

/** A name for reports that were made together, e.g. `SmolLM2 135M in 4 bits · Apple M2`. */
export function nameOf(reports: readonly BenchReport[]): string {
  const models = [...new Set(reports.map(nameOfReport))];
  const adapters = [...new Set(reports.map(({ adapter }) => adapterName(adapter)))];
  const all = (names: readonly string[], plural: string): string =>
    names.length > 2 ? `${names.length} ${plural}` : names.join(', ');
  return `${all(models, 'models')} · ${all(adapters, 'adapters')}`;
}

/** What to call each of some reports: its model, and of adapter and time what tells it from the others. */
export function labelsOf(reports: readonly BenchReport[]): readonly string[] {
  const hasAdapters = new Set(reports.map(({ adapter }) => adapterName(adapter))).size > 1;
  const labels = reports.map((report) =>
    hasAdapters ? `${nameOfReport(report)} · ${adapterName(report.adapter)}` : nameOfReport(report),
  );
  const dated = labels.map((label, i) => {
    const isUnique = labels.indexOf(label) === labels.lastIndexOf(label);
    return isUnique ? label : `${label} · ${shortTime(reports[i]?.date ?? '')}`;
  });
  return dated.map((label, i) => {
    const earlier = dated.slice(0, i).filter((other) => other === label).length;
    return earlier === 0 ? label : `${label} (${earlier + 1})`;
  });
}

/** `A` to `Z`, then `A2`: tells reports apart where color alone would have to. */
export function letterOf(index: number): string {
  const round = Math.floor(index / 26);
  return String.fromCodePoint(65 + (index % 26)) + (round === 0 ? '' : String(round + 1));
}

/** Date and time of day here. */
export function formatTime(date: string | number): string {
  return new Date(date).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });
}

function shortTime(date: string): string {
  return new Date(date).toLocaleString('en', {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
}
