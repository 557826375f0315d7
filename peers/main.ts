/** `npm run peers`: Quern beside other engines, on one adapter, in one process or in one page. @module */
import { parseArgs } from 'node:util';
import { benchFacts } from '../src/cli/bench_facts.ts';
import { BROWSERS, type BrowserName } from '../src/cli/browser/find.ts';
import type { BrowserAdapter } from '../src/cli/browser/launch.ts';
import { formatTable } from '../src/cli/format.ts';
import { compare, type CompareOptions } from './compare.ts';
import { DEFAULT_KINDS, entriesOf, KINDS, PAGE_KINDS, type Kind } from './entries.ts';
import { compareInBrowser } from './headless.ts';
import { openNodeArena } from './node_arena.ts';
import { groupRowsOf, headingOf, lineOf, reportJson, rowsOf, skippedLineOf } from './report.ts';
import { servePage } from './serve.ts';

const HELP = `usage: npm run peers -- [options]

Measures Quern and ONNX Runtime's WebGPU provider in turn, on one adapter, with the same weights, and prints how many
times as fast Quern is: the peer's time over Quern's in the same round, wall time and CPU time, as median (smallest to
largest). On a software adapter both engines compute on the processor, and other work on the machine changes the wall
time more than the CPU time. Outputs are compared first; "error" is the largest difference over the largest number.
It runs in one Node process (onnxruntime-node), or in one page of a headless browser (onnxruntime-web).

  --only LIST        of: ${KINDS.join(', ')}; default: ${DEFAULT_KINDS.join(',')};
                     ${PAGE_KINDS.join(' and ')} only run in a browser
  --filter TEXT      only those whose name has this text, e.g. "q4 1 x"
  --browser NAME     run in a page of this browser: ${BROWSERS.join(', ')}
  --page             serve that page for any browser, and measure there
  --port N           port of the page (default 5174); the next free one when it is taken
  --adapter NAME     lavapipe (default in Node), swiftshader (default in browsers), or default: what each engine
                     chooses by itself
  --repetitions N    rounds that count, after one that warms up; default 5
  --json             print one JSON object
  --list             only say what would be measured
  --help             this text
`;

const ADAPTERS = ['lavapipe', 'swiftshader', 'default'] as const;
type Adapter = (typeof ADAPTERS)[number];

/** @returns the exit code */
export async function main(argv: string[]): Promise<number> {
  let options: Options | 'help';
  try {
    options = parseOptions(argv);
  } catch (error) {
    process.stderr.write(`peers: ${messageOf(error)}; see --help\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    await run(options, argv);
    return 0;
  } catch (error) {
    process.stderr.write(`peers: ${messageOf(error)}\n`);
    return 1;
  }
}

async function run(options: Options, argv: readonly string[]): Promise<void> {
  const { kinds, filter, adapter, browser, port, repetitions, isJson } = options;
  if (options.isList) {
    const entries = entriesOf(kinds, filter);
    process.stdout.write(entries.map(({ name, peer }) => `${name}, ${peer}\n`).join(''));
    return;
  }
  if (options.isPage) {
    const { address } = await servePage(port);
    process.stdout.write(`Quern beside other engines: ${address}\n`);
    // The server keeps the process alive until it is ended from outside.
    return new Promise(() => {});
  }
  const print = (text: string): void => void (isJson || process.stdout.write(text));
  const listeners: Pick<CompareOptions, 'onStart' | 'onOutcome' | 'onSkipped'> = {
    onStart: (about) => print(`${headingOf(about)}\n`),
    onOutcome: (outcome) => print(lineOf(outcome)),
    onSkipped: (skipped) => print(skippedLineOf(skipped)),
  };
  const report = await (browser === undefined
    ? compare(await openNodeArena(adapter ?? 'lavapipe'), entriesOf(kinds, filter), {
        repetitions,
        runtime: `Node ${process.version}`,
        ...listeners,
      })
    : compareInBrowser(
        { browser, adapter: browserAdapter(adapter), kinds, filter, repetitions, port },
        listeners,
      ));
  const { outcomes } = report;
  print(`\n${formatTable(rowsOf(outcomes))}\n${formatTable(groupRowsOf(outcomes))}`);
  if (!isJson) return;
  const { commit, command } = benchFacts(argv, 'npm run peers --');
  process.stdout.write(`${JSON.stringify(reportJson(report, command, commit))}\n`);
}

function browserAdapter(adapter: Adapter | undefined): BrowserAdapter {
  if (adapter !== 'lavapipe') return adapter ?? 'swiftshader';
  throw new Error('browsers do not take lavapipe; use --adapter swiftshader or default');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Options {
  readonly kinds: readonly Kind[];
  readonly filter: string;
  readonly adapter: Adapter | undefined;
  readonly browser: BrowserName | undefined;
  readonly isPage: boolean;
  readonly port: number;
  readonly repetitions: number;
  readonly isJson: boolean;
  readonly isList: boolean;
}

/** @throws {TypeError} if the command line is wrong */
function parseOptions(argv: string[]): Options | 'help' {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string', default: DEFAULT_KINDS.join(',') },
      filter: { type: 'string', default: '' },
      browser: { type: 'string' },
      page: { type: 'boolean', default: false },
      port: { type: 'string', default: '5174' },
      adapter: { type: 'string' },
      repetitions: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const kinds = values.only.split(',').map((kind) => oneOf('only', kind, KINDS));
  const browser =
    values.browser === undefined ? undefined : oneOf('browser', values.browser, BROWSERS);
  const pageKind = kinds.find((kind) => PAGE_KINDS.some((name) => name === kind));
  if (pageKind !== undefined && browser === undefined && !values.list) {
    throw new TypeError(`--only ${pageKind}: runs in a page only; add --browser chromium`);
  }
  return {
    kinds,
    filter: values.filter,
    adapter: values.adapter === undefined ? undefined : oneOf('adapter', values.adapter, ADAPTERS),
    browser,
    isPage: values.page,
    port: numberOf('port', values.port),
    repetitions: numberOf('repetitions', values.repetitions),
    isJson: values.json,
    isList: values.list,
  };
}

function numberOf(option: string, value: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new TypeError(`--${option} ${value}: expected a whole number from 1 on`);
}

function oneOf<T extends string>(option: string, value: string, values: readonly T[]): T {
  const found = values.find((one) => one === value);
  if (found !== undefined) return found;
  throw new TypeError(`--${option} ${value}: expected one of: ${values.join(', ')}`);
}
