/** `npm run peers`: Quern beside other engines, in one process on one adapter. @module */
import { parseArgs } from 'node:util';
import { formatNumber, formatTable } from '../src/cli/format.ts';
import type { DeviceFacts } from '../src/gpu/device.ts';
import { bertEntries } from './bert.ts';
import { geometricMean, hold, type Entry, type Outcome } from './contest.ts';
import { decoderEntries } from './decoder.ts';
import { onlyDriver } from './drivers.ts';
import { matmulEntries } from './matmul.ts';
import { Peer } from './ort.ts';
import { quernDevices, type OpenDevice } from './quern.ts';

const KIND_NAMES = ['matmul', 'bert', 'decode'] as const;
type Kind = (typeof KIND_NAMES)[number];
const ENTRIES: Readonly<Record<Kind, (open: OpenDevice, peer: Peer) => readonly Entry[]>> = {
  matmul: matmulEntries,
  bert: bertEntries,
  decode: decoderEntries,
};
/** Both compute in f32, in different orders. */
const TOLERANCE = 1e-3;

const HELP = `usage: npm run peers -- [options]

Measures Quern and ONNX Runtime's WebGPU provider (onnxruntime-node) in turn, in one process and on one adapter, with
the same weights, and prints how many times as fast Quern is: the peer's time over Quern's in the same round, wall time
and CPU time of the process, as median (smallest to largest). On a software adapter both engines compute on the
processor, and other work on the machine changes the wall time more than the CPU time. Outputs are compared first;
"error" is the largest difference over the largest number.

  --only LIST        of: ${KIND_NAMES.join(', ')}; default: all
  --filter TEXT      only those whose name has this text, e.g. "q4 1 x"
  --adapter NAME     lavapipe (default), swiftshader, or default: what each engine chooses by itself
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
    await run(options);
    return 0;
  } catch (error) {
    process.stderr.write(`peers: ${messageOf(error)}\n`);
    return 1;
  }
}

async function run({
  kinds,
  filter,
  adapter,
  repetitions,
  isJson,
  isList,
}: Options): Promise<void> {
  const driver = adapter === 'default' ? undefined : onlyDriver(adapter);
  // First, while there is only that driver: Quern looks for more.
  const peer = await Peer.open(driver);
  const open = quernDevices(adapter);
  const device = await open();
  const { facts } = device;
  device.dispose();
  const print = (text: string): void => void (isJson || process.stdout.write(text));
  const entries = kinds
    .flatMap((kind) => ENTRIES[kind](open, peer))
    .filter(({ name }) => name.includes(filter));
  if (isList) {
    process.stdout.write(entries.map(({ name }) => `${name}\n`).join(''));
    return;
  }
  print(`${headingOf(facts, peer, repetitions).join('\n')}\n\n`);
  const outcomes: Outcome[] = [];
  for (const entry of entries) {
    const found = await hold(entry, repetitions, TOLERANCE);
    outcomes.push(...found);
    print(found.map(lineOf).join(''));
  }
  print(`\n${tableOf(outcomes)}\n${tableOfGroups(outcomes)}`);
  if (!isJson) return;
  const { description } = facts;
  const report = { adapter: description, peer: peer.version, repetitions, outcomes };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Options {
  readonly kinds: readonly Kind[];
  readonly filter: string;
  readonly adapter: Adapter;
  readonly repetitions: number;
  readonly isJson: boolean;
  readonly isList: boolean;
}

/** @throws {TypeError} if the command line is wrong */
function parseOptions(argv: string[]): Options | 'help' {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string', default: KIND_NAMES.join(',') },
      filter: { type: 'string', default: '' },
      adapter: { type: 'string', default: 'lavapipe' },
      repetitions: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const repetitions = Number(values.repetitions);
  if (!Number.isSafeInteger(repetitions) || repetitions < 1) {
    throw new TypeError(`--repetitions ${values.repetitions}: expected a number from 1 on`);
  }
  return {
    kinds: values.only.split(',').map((kind) => oneOf('only', kind, KIND_NAMES)),
    filter: values.filter,
    adapter: oneOf('adapter', values.adapter, ADAPTERS),
    repetitions,
    isJson: values.json,
    isList: values.list,
  };
}

function oneOf<T extends string>(option: string, value: string, values: readonly T[]): T {
  const found = values.find((one) => one === value);
  if (found !== undefined) return found;
  throw new TypeError(`--${option} ${value}: expected one of: ${values.join(', ')}`);
}

function headingOf(facts: DeviceFacts, peer: Peer, repetitions: number): readonly string[] {
  const names = [facts.vendor, facts.architecture, facts.description];
  return [
    `adapter  ${names.filter((name) => name !== '').join(' ')}`,
    `peer     ONNX Runtime ${peer.version}, WebGPU provider; all nodes on it`,
    `runtime  Node ${process.version}, ${repetitions} rounds after one that warms up`,
  ];
}

function lineOf({ name, what, wallRatio, cpuRatio, error, notes }: Outcome): string {
  const ratios = `${formatNumber(wallRatio.median)} times as fast (by CPU time ${formatNumber(cpuRatio.median)})`;
  const facts = [ratios, `error ${error.toExponential(1)}`, ...notes].join('; ');
  return `${[name, what].filter((word) => word !== '').join(', ')}: ${facts}\n`;
}

function tableOf(outcomes: readonly Outcome[]): string {
  const ratio = ({ median, min, max }: Outcome['wallRatio']): readonly string[] => [
    formatNumber(median),
    `${formatNumber(min)} to ${formatNumber(max)}`,
  ];
  const rows = outcomes.map((outcome) => [
    `${outcome.name} ${outcome.what}`,
    outcome.unit,
    formatNumber(outcome.quernPerSecond.median),
    formatNumber(outcome.peerPerSecond.median),
    ...ratio(outcome.wallRatio),
    ...ratio(outcome.cpuRatio),
  ]);
  const head = ['', 'unit', 'Quern', 'peer', 'ratio', 'range', 'CPU ratio', 'range'];
  return formatTable([head, ...rows]);
}

/** Geometric means, where a group has several. */
function tableOfGroups(outcomes: readonly Outcome[]): string {
  const groups = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    groups.set(outcome.group, [...(groups.get(outcome.group) ?? []), outcome]);
  }
  const rows = [...groups]
    .filter(([, members]) => members.length > 1)
    .map(([group, members]) => [
      group,
      `${members.length}`,
      formatNumber(geometricMean(members.map(({ wallRatio }) => wallRatio.median))),
      formatNumber(Math.min(...members.map(({ wallRatio }) => wallRatio.median))),
      formatNumber(geometricMean(members.map(({ cpuRatio }) => cpuRatio.median))),
      formatNumber(Math.min(...members.map(({ cpuRatio }) => cpuRatio.median))),
    ]);
  const head = ['', 'measured', 'ratio, mean', 'smallest', 'CPU ratio, mean', 'smallest'];
  return rows.length === 0 ? '' : formatTable([head, ...rows]);
}
