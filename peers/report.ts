/** What was compared, in words and tables: the same in a terminal as on the page. @module */
import { formatNumber } from '../src/cli/format.ts';
import { geometricMean, type Outcome, type Skipped } from './contest.ts';

/** What a comparison is made with. */
export interface About {
  readonly adapter: string;
  /** Node's version, or the browser's own name. */
  readonly runtime: string;
  /** Version of ONNX Runtime. */
  readonly peer: string;
  /** Rounds that count. */
  readonly repetitions: number;
}

/** Everything that one run found. */
export interface Report extends About {
  readonly outcomes: readonly Outcome[];
  readonly skipped: readonly Skipped[];
}

/** A report as a file: docs/performance.md is made of such. */
export function reportJson(report: Report, command: string, commit: string | null): object {
  return { schema: 'quern-peers/1', date: new Date().toISOString(), commit, command, ...report };
}

type Rows = readonly (readonly string[])[];

export function headingOf({ adapter, runtime, peer, repetitions }: About): string {
  return [
    `adapter  ${adapter}`,
    `peer     ONNX Runtime ${peer}, WebGPU provider; all nodes on it`,
    `runtime  ${runtime}, ${repetitions} rounds after one that warms up\n`,
  ].join('\n');
}

export function lineOf({ name, peer, what, wallRatio, cpuRatio, error, notes }: Outcome): string {
  const cpu = cpuRatio === undefined ? '' : ` (by CPU time ${formatNumber(cpuRatio.median)})`;
  const ratios = `${formatNumber(wallRatio.median)} times as fast as ${peer}${cpu}`;
  const facts = [ratios, `error ${error.toExponential(1)}`, ...notes].join('; ');
  return `${[name, what].filter((word) => word !== '').join(', ')}: ${facts}\n`;
}

export function skippedLineOf({ name, peer, reason }: Skipped): string {
  return `${name}, ${peer}: not measured: ${reason}\n`;
}

/** Its first row is the head; columns of the CPU time are left out where it is not known. */
export function rowsOf(outcomes: readonly Outcome[]): Rows {
  const hasCpu = knowsCpu(outcomes);
  const ratio = (spread: Outcome['cpuRatio']): readonly string[] =>
    spread === undefined
      ? ['', '']
      : [formatNumber(spread.median), `${formatNumber(spread.min)} to ${formatNumber(spread.max)}`];
  const rows = outcomes.map((outcome) => [
    `${outcome.name} ${outcome.what}`.trim(),
    outcome.peer,
    outcome.unit,
    formatNumber(outcome.quernPerSecond.median),
    formatNumber(outcome.peerPerSecond.median),
    ...ratio(outcome.wallRatio),
    ...(hasCpu ? ratio(outcome.cpuRatio) : []),
  ]);
  const head = ['', 'beside', 'unit', 'Quern', 'other', 'ratio', 'range'];
  return [[...head, ...(hasCpu ? ['CPU ratio', 'range'] : [])], ...rows];
}

/** Geometric means, where a group has several; no rows at all if none has. */
export function groupRowsOf(outcomes: readonly Outcome[]): Rows {
  const hasCpu = knowsCpu(outcomes);
  const groups = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    groups.set(outcome.group, [...(groups.get(outcome.group) ?? []), outcome]);
  }
  const meanAndLeast = (ratios: readonly number[]): readonly string[] => [
    formatNumber(geometricMean(ratios)),
    formatNumber(Math.min(...ratios)),
  ];
  const rows = [...groups]
    .filter(([, members]) => members.length > 1)
    .map(([group, members]) => [
      group,
      `${members.length}`,
      ...meanAndLeast(members.map(({ wallRatio }) => wallRatio.median)),
      ...(hasCpu
        ? meanAndLeast(members.map(({ cpuRatio }) => cpuRatio?.median ?? Number.NaN))
        : []),
    ]);
  const head = ['', 'measured', 'ratio, mean', 'smallest'];
  const cpuHead = hasCpu ? ['CPU ratio, mean', 'smallest'] : [];
  return rows.length === 0 ? [] : [[...head, ...cpuHead], ...rows];
}

function knowsCpu(outcomes: readonly Outcome[]): boolean {
  return outcomes.some(({ cpuRatio }) => cpuRatio !== undefined);
}
