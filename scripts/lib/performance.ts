/** The tables of docs/performance.md, made of the measurements in docs/measurements/. @module */
import { z } from 'zod';
import { readReports } from '../../src/bench/read_report.ts';
import { reportsMarkdown } from '../../src/bench/report_markdown.ts';
import { formatNumber } from '../../src/util/format.ts';

/** `<!-- table: FILE... -->`, the table, `<!-- end -->`, each on a line of its own. */
const MARKED = /^<!-- table: (?<files>[^\n]+?) -->$[^]*?^<!-- end -->$/gm;
const MARKER = /^<!-- (?:table:[^\n]*|end) -->$/gm;

/**
 * Makes the tables of a page anew; what is written between them stays.
 *
 * @param page - Markdown with markers
 * @param files - the measurements by name of their file, as parsed JSON
 * @throws {Error} if a marker names no file of these, a file is named by no marker, or it cannot be read
 */
export function fillTables(page: string, files: ReadonlyMap<string, unknown>): string {
  const named = new Set<string>();
  const filled = page.replaceAll(MARKED, (_, list: string) => {
    const tables = list.split(' ').map((file) => {
      named.add(file);
      return tableOf(file, files);
    });
    return `<!-- table: ${list} -->\n\n${tables.join('\n\n')}\n\n<!-- end -->`;
  });
  const whole = [...page.matchAll(MARKED)].length;
  if ([...page.matchAll(MARKER)].length !== 2 * whole) {
    throw new Error(
      'performance.md: a marker stands alone, expected <!-- table: FILE --> and <!-- end --> in turn',
    );
  }
  const unused = [...files.keys()].filter((file) => !named.has(file));
  if (unused.length === 0) return filled;
  throw new Error(
    `performance.md: no table is made of ${unused.join(', ')}; add <!-- table: FILE --> and <!-- end -->, or delete the file`,
  );
}

function tableOf(file: string, files: ReadonlyMap<string, unknown>): string {
  if (!files.has(file)) {
    const known = [...files.keys()].join(', ');
    throw new Error(`performance.md: no measurement ${file}, expected one of: ${known}`);
  }
  const json = files.get(file);
  try {
    const { schema } = HEAD.parse(json);
    if (schema === 'quern-kernels/1') return kernelsTable(KERNELS.parse(json));
    if (schema === 'quern-peers/1') return peersTable(PEERS.parse(json));
    return reportsMarkdown(readReports(json)).trim();
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new Error(`docs/measurements/${file}: ${reason}`, { cause });
  }
}

const SPREAD = z.object({ median: z.number(), min: z.number(), max: z.number() });
type Spread = z.infer<typeof SPREAD>;

const HEAD = z.object({ schema: z.string() });
const SOURCE = z.object({ date: z.string(), commit: z.string().nullable(), command: z.string() });

/** What `quern bench --kernels --json` prints, as far as the table needs it. */
const KERNELS = SOURCE.extend({
  peaks: z.object({ readGigabytesPerSecond: SPREAD, f32GigaflopsPerSecond: SPREAD }),
  kernels: z.array(
    z.object({
      kernel: z.string(),
      label: z.string(),
      variant: z.string().optional(),
      us: SPREAD,
      gigabytesPerSecond: SPREAD,
      gigaflopsPerSecond: SPREAD,
    }),
  ),
});

/** What `npm run peers -- --json` prints, as far as the table needs it. */
const PEERS = SOURCE.extend({
  adapter: z.string(),
  runtime: z.string(),
  /** Version of ONNX Runtime. */
  peer: z.string(),
  repetitions: z.number(),
  outcomes: z.array(
    z.object({
      name: z.string(),
      peer: z.string(),
      what: z.string(),
      unit: z.string(),
      quernPerSecond: SPREAD,
      peerPerSecond: SPREAD,
      wallRatio: SPREAD,
      cpuRatio: SPREAD.optional(),
    }),
  ),
});

function kernelsTable({ peaks, kernels, ...source }: z.infer<typeof KERNELS>): string {
  const ofPeak = (value: Spread, peak: Spread): string =>
    value.median === 0 ? '' : ` (${formatNumber((100 * value.median) / peak.median)} %)`;
  return [
    table([
      ['operation', 'variant', 'µs', 'GB/s', 'GFLOP/s'],
      ...kernels.map(({ kernel, label, variant = '', us, ...rates }) => [
        `${kernel} ${label}`,
        variant,
        spread(us),
        `${formatNumber(rates.gigabytesPerSecond.median)}${ofPeak(rates.gigabytesPerSecond, peaks.readGigabytesPerSecond)}`,
        `${formatNumber(rates.gigaflopsPerSecond.median)}${ofPeak(rates.gigaflopsPerSecond, peaks.f32GigaflopsPerSecond)}`,
      ]),
    ]),
    '',
    `Ceilings: ${formatNumber(peaks.readGigabytesPerSecond.median)} GB/s, ${formatNumber(peaks.f32GigaflopsPerSecond.median)} GFLOP/s in f32. ${describe(source)}`,
  ].join('\n');
}

function peersTable({ outcomes, ...source }: z.infer<typeof PEERS>): string {
  const { adapter, runtime, peer: version, repetitions } = source;
  const isModel = ({ unit }: (typeof outcomes)[number]): boolean => unit === 'tokens/s';
  const sorted = [...outcomes.filter(isModel), ...outcomes.filter((one) => !isModel(one))];
  return [
    table([
      ['', 'unit', 'Quern', 'peer', 'ratio', 'by CPU time'],
      ...sorted.map(({ name, peer, what, unit, wallRatio, cpuRatio, ...rates }) => [
        [name, what].filter((word) => word !== '').join(', '),
        unit,
        formatNumber(rates.quernPerSecond.median),
        `${formatNumber(rates.peerPerSecond.median)} (${peer})`,
        spread(wallRatio),
        cpuRatio === undefined ? '' : spread(cpuRatio),
      ]),
    ]),
    '',
    `${adapter}; ${runtime}; ONNX Runtime ${version}; ${repetitions} rounds in turn. ${describe(source)}`,
  ].join('\n');
}

/** Where the numbers come from. */
function describe({ command, commit, date }: z.infer<typeof SOURCE>): string {
  return `\`${command}\`, commit ${commit ?? 'unknown'}, ${date.slice(0, 'yyyy-mm-dd'.length)}.`;
}

function spread({ median, min, max }: Spread): string {
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
}

/** A table of Markdown; the formatter sets its columns. */
function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}
