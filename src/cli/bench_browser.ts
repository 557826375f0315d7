/** `npm run bench:browser`: the benchmark page, without anybody who looks at it. @module */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parsePlan } from '../bench/plan.ts';
import { parseReports, readReports, reportSet } from '../bench/read_report.ts';
import type { BenchReport } from '../bench/report.ts';
import { reportsMarkdown } from '../bench/report_markdown.ts';
import { RequestError } from '../util/errors.ts';
import { describeAgainst } from './bench_against.ts';
import { benchFacts, type BenchFacts } from './bench_facts.ts';
import { benchInBrowser, type PageBench, type PageOutcome } from './browser/bench.ts';
import { BROWSERS } from './browser/find.ts';
import type { BrowserAdapter } from './browser/launch.ts';
import { choiceValue, type Command, defineCommand, numberValue, UsageError } from './command.ts';
import { runProgram } from './run_program.ts';
import type { Terminal } from './terminal.ts';

const ADAPTERS: readonly BrowserAdapter[] = ['default', 'swiftshader'];

/** How much slower than before is still the same, where the spreads say nothing else. */
const DEFAULT_TOLERANCE = 0.1;

const EXIT_FAILURE = 1;
const EXIT_SLOWER = 3;

const PROGRAM = 'npm run bench:browser --';

const benchBrowserCommand: Command = defineCommand({
  name: 'bench:browser',
  program: PROGRAM,
  usage: '[options]',
  summary: 'runs the benchmark page in a headless browser and writes what it measured',
  details: `What is measured is what the page's address can hold: /bench.html?model=…&weights=…&tests=…&repetitions=…&run.
Without --out the JSON (schema quern-benches/1) goes to standard output, with it to a file, and tables to standard output.
--against compares with such a file, or one of "quern bench --json": the exit code is 3 when a test is slower than before
by more than --tolerance and its repetitions do not overlap with those of before. It is 1 when the page fails.`,
  options: {
    browser: {
      type: 'string',
      value: 'NAME',
      help: `${BROWSERS.join(' or ')}, default chromium`,
    },
    adapter: {
      type: 'string',
      value: 'NAME',
      help: `of chromium: ${ADAPTERS.join(', ')}; default is a real GPU where there is one`,
    },
    model: {
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'as on the page: a shape such as tiny or smollm2-135m, tinychat, owner/name or an address',
    },
    weights: { type: 'string', value: 'LIST', help: 'forms of their weights, e.g. f16,q4' },
    tests: { type: 'string', value: 'LIST', help: 'e.g. pp64,tg32' },
    repetitions: { type: 'string', value: 'N', help: 'measured repetitions' },
    profile: { type: 'boolean', help: 'also measures each kernel of every test' },
    kv: { type: 'string', value: 'TYPE', help: 'element type of the KV cache' },
    out: { type: 'string', value: 'FILE', help: 'where the JSON goes' },
    against: { type: 'string', value: 'FILE', help: 'an earlier result to compare with' },
    tolerance: {
      type: 'string',
      value: 'X',
      help: `slowdown that is accepted, default ${DEFAULT_TOLERANCE} for ${100 * DEFAULT_TOLERANCE} %`,
    },
    site: {
      type: 'string',
      value: 'DIR',
      help: 'a built site (npm run build:demo), instead of the page of the sources',
    },
  },
  examples: [
    '--model tiny --tests pp64,tg16 --out tiny.json',
    '--browser firefox --model smollm2-135m --weights q4 --tests pp128,tg32 --repetitions 3',
    '--model tiny --tests pp64,tg16 --against tiny.json --tolerance 0.2',
  ],
  arguments: { min: 0, max: 0 },
  async run(values, _args, terminal, argv) {
    const { out } = values;
    // Before anything is measured: it may take long.
    const { page, before, tolerance } = await wishesOf(values);
    const { signal } = terminal;
    const outcome = await benchInBrowser({ ...page, onProgress: progressOf(terminal), signal });
    if (terminal.isErrScreen) terminal.err('\r\u001B[K');
    const reports = reportsOf(outcome, benchFacts(argv, PROGRAM));
    if (reports.length > 0) await write(reports, out, terminal);
    if (outcome.problem !== undefined) {
      terminal.err(`error: ${outcome.problem}\n`);
      return EXIT_FAILURE;
    }
    if (before === undefined) return 0;
    const { text, isSlower } = describeAgainst(before, reports, tolerance);
    // Standard output may be JSON.
    if (out === undefined) terminal.err(text);
    else terminal.out(`\n${text}`);
    return isSlower ? EXIT_SLOWER : 0;
  },
});

/**
 * Runs the command line.
 *
 * @param argv - arguments without the program's name
 * @param terminal - where to write; default: this process's own, with Ctrl-C as its abort signal
 * @returns the exit code: 0, 1 for a failure, 2 for a wrong command line, 3 for a test that has become slower
 */
export async function main(argv: readonly string[], terminal?: Terminal): Promise<number> {
  return runProgram(argv, terminal, (own) => benchBrowserCommand.run(argv, own));
}

interface PlanValues {
  readonly model?: readonly string[];
  readonly weights?: string;
  readonly tests?: string;
  readonly repetitions?: string;
  readonly kv?: string;
  readonly profile?: boolean;
}

interface BenchValues extends PlanValues {
  readonly browser?: string;
  readonly adapter?: string;
  readonly site?: string;
  readonly out?: string;
  readonly against?: string;
  readonly tolerance?: string;
}

/** @throws {UsageError} if the values are wrong, or a file that they name is */
async function wishesOf(values: BenchValues): Promise<{
  readonly page: Pick<PageBench, 'browser' | 'adapter' | 'query' | 'site'>;
  readonly before: readonly BenchReport[] | undefined;
  readonly tolerance: number;
}> {
  const { adapter, against, out, site } = values;
  const tolerance = numberValue('tolerance', values.tolerance ?? String(DEFAULT_TOLERANCE));
  if (tolerance < 0 || tolerance >= 1) {
    throw new UsageError(`--tolerance: ${tolerance}, expected a share from 0 to below 1`);
  }
  const browser = choiceValue('browser', values.browser ?? 'chromium', BROWSERS);
  if (adapter !== undefined && browser !== 'chromium') {
    throw new UsageError(`--adapter is for chromium; ${browser} chooses its own`);
  }
  const query = queryOf(values);
  const before = against === undefined ? undefined : await readFileOf(against);
  if (site !== undefined) await expectSite(site);
  if (out !== undefined) await mkdir(dirname(resolve(out)), { recursive: true });
  const page = {
    browser,
    adapter: choiceValue('adapter', adapter ?? 'default', ADAPTERS),
    query,
    ...(site !== undefined && { site: resolve(site) }),
  };
  return { page, before, tolerance };
}

/** @throws {UsageError} if the page would refuse it */
function queryOf({ model = [], profile, ...texts }: PlanValues): URLSearchParams {
  const query = new URLSearchParams();
  // Before the models: weights are of all of them.
  for (const name of ['weights', 'tests', 'repetitions', 'kv'] as const) {
    const text = texts[name];
    if (text !== undefined) query.set(name, text);
  }
  for (const name of model) query.append('model', name);
  if (profile === true) query.set('profile', '');
  try {
    parsePlan(query);
  } catch (cause) {
    if (!(cause instanceof RequestError)) throw cause;
    throw new UsageError(cause.message, { cause });
  }
  return query;
}

async function readFileOf(path: string): Promise<readonly BenchReport[]> {
  try {
    return parseReports(await readFile(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`--against ${path}: ${reason}`, { cause });
  }
}

async function expectSite(folder: string): Promise<void> {
  const page = resolve(folder, 'bench.html');
  const found = await stat(page).catch(() => undefined);
  if (found?.isFile() === true) return;
  throw new UsageError(`--site ${folder}: no bench.html in it; build it first: npm run build:demo`);
}

/** The reports, with what the page cannot know. */
function reportsOf(
  { reports }: PageOutcome,
  { commit, command }: Pick<BenchFacts, 'commit' | 'command'>,
): readonly BenchReport[] {
  if (reports === undefined) return [];
  return readReports(reports).map((report) => ({ ...report, commit, command }));
}

async function write(
  reports: readonly BenchReport[],
  out: string | undefined,
  terminal: Terminal,
): Promise<void> {
  const json = `${JSON.stringify(reportSet(reports))}\n`;
  if (out === undefined) {
    terminal.out(json);
    return;
  }
  await writeFile(out, json);
  terminal.out(reportsMarkdown(reports));
}

/** Between lines of progress in a log, in milliseconds. */
const QUIET_MS = 5000;

/** On a screen one line that is drawn anew, else a line now and then. */
function progressOf(terminal: Terminal): (line: string) => void {
  if (terminal.isErrScreen) return (line) => terminal.err(`\r\u001B[K${line}`);
  let last = -Infinity;
  return (line) => {
    if (performance.now() - last < QUIET_MS) return;
    last = performance.now();
    terminal.err(`${line}\n`);
  };
}
