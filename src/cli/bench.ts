import { freemem } from 'node:os';
import { targetKind } from '../bench/open_model.ts';
import { BUNDLED_MODEL } from '../bench/plan.ts';
import type { BenchProgress } from '../bench/progress.ts';
import type { BenchReport } from '../bench/report.ts';
import { reportsCsv } from '../bench/report_csv.ts';
import { reportsMarkdown } from '../bench/report_markdown.ts';
import { runBench } from '../bench/run_bench.ts';
import { SHAPES } from '../bench/shapes.ts';
import { WEIGHT_FORMS } from '../kernels/matrix.ts';
import type { ModelKind } from '../models/family.ts';
import { openGpu } from '../node/gpu.ts';
import { benchFacts, NODE_CLOCK, nodeMemory, runtimeName, type BenchFacts } from './bench_facts.ts';
import { countValues, KERNEL_OPTIONS, refuseOptions, runKernels } from './bench_kernels.ts';
import { describeBench } from './bench_tables.ts';
import { isBundled, targetOf } from './bench_target.ts';
import { type Command, countValue, defineCommand, UsageError } from './command.ts';
import { adapterValue, contextValues, GPU_OPTIONS, MODEL_HELP, weightsValue } from './model.ts';

/** What `quern bench --json` prints: {@link BenchReport} has the measurements. */
export type BenchOutput = BenchReport & BenchFacts;

/** `quern bench`: measures one model, or single kernels, on one adapter. */
export const benchCommand: Command = defineCommand({
  name: 'bench',
  usage: '[MODEL] [options]',
  summary: 'measures how fast a model runs, and how near that is to what the adapter can do',
  details: `${MODEL_HELP} Default: the bundled weights/tinychat.
--shape and --config measure a network with made-up weights instead: the time depends on sizes, not on numbers.

Tests have llama-bench's names. pp512: a prompt of 512 tokens, until its first token is here. tg128: 128 tokens one
after another; tg128@d4096: with 4096 tokens before them; tg128x4: four streams at once, all their tokens counted.
Encoders: enc128x8: eight texts of 128 tokens queued at once, until all vectors are here. Encoder-decoders: enc512 until
the first token of the reply, and tg. Default: pp512,tg128,tg128@d4096; enc128,enc128x8,enc512,enc512x8; enc512,tg128.
They take turns, once to warm up and then as often as --repetitions says; a short one is run for half a second each time.
Prompts are random ids, sampling is greedy and counted.

The limit beside each figure follows from ceilings measured on this adapter first: streaming reads (BW) and
multiplications and additions in registers, in f32 (FMA).
  decode  tokens/s <= streams * BW / (W + KV)   W: bytes of weights a step reads; KV: keys and values of all streams
  prefill tokens/s <= FMA * T / FLOP            FLOP = 2 * P * T + 2 * L * H * K * T^2, for encoders 4 * L * H * K * T^2
P: weights that every token is multiplied with; L, H, K: layers, heads, size of a head. --profile runs each kernel of the
last step by itself, over and over. A line "doubt" says what cannot be trusted, and why: docs/benchmarking.md.`,
  options: {
    tests: { type: 'string', value: 'LIST', help: 'e.g. pp512,tg128,tg128@d4096' },
    'prompt-tokens': { type: 'string', value: 'N', help: 'length of the default prompt test, 512' },
    'gen-tokens': { type: 'string', value: 'N', help: 'length of the default reply tests, 128' },
    depth: {
      type: 'string',
      value: 'N',
      help: 'tokens before the default deep test, 4096; 0: none',
    },
    streams: {
      type: 'string',
      value: 'LIST',
      help: 'also measures so many replies at once, e.g. 1,2,4,8',
    },
    repetitions: { type: 'string', value: 'N', help: 'measured repetitions, default 5' },
    profile: { type: 'boolean', help: 'also measures each kernel of every test' },
    load: { type: 'boolean', help: 'also loads the model a second time: cold and warm' },
    shape: {
      type: 'string',
      value: 'NAME',
      help: `made-up weights: ${Object.keys(SHAPES).join(', ')} (Qwen's as LLaMA with biases)`,
    },
    config: { type: 'string', value: 'FILE', help: 'made-up weights for a config.json' },
    weights: {
      type: 'string',
      value: 'FORM',
      help: `form of the weights: auto (default; made up: f16), ${WEIGHT_FORMS.join(', ')} (bf16 only made up); with --kernels a list`,
    },
    kv: { type: 'string', value: 'TYPE', help: 'element type of the KV cache, as elsewhere' },
    ...KERNEL_OPTIONS,
    ...GPU_OPTIONS,
    json: { type: 'boolean', help: 'print one JSON object, of a schema with a version' },
    csv: { type: 'boolean', help: 'print a row for each test, for spreadsheets' },
    markdown: { type: 'boolean', help: 'print tables to paste into an issue' },
  },
  examples: [
    'bench',
    'bench weights/tinychat --adapter lavapipe --tests pp128,tg64 --profile',
    'bench --shape llama-3.2-1b --weights q4 --streams 1,2,4,8 --json',
    'bench --kernels matmul --shape smollm2-135m --weights f32,q4 --rows 1,64 --variant all',
  ],
  arguments: { min: 0, max: 1 },
  async run(values, [model], terminal, argv) {
    refuseOptions(values);
    const format = formatOf(values);
    const facts = benchFacts(argv);
    const repetitions = countValue('repetitions', values.repetitions ?? '5');
    if (values.kernels !== undefined) {
      if (model !== undefined) {
        throw new UsageError(
          `bench: ${model} says nothing with --kernels; give --shape or --config`,
        );
      }
      await runKernels(values, repetitions, facts, terminal);
      return 0;
    }
    const target = await targetOf(model, values);
    const tests = testsOf(values, await targetKind(target, terminal.signal));
    const report = await runBench(target, {
      gpu: await openGpu(adapterValue(values.adapter)),
      clock: NODE_CLOCK,
      ...contextValues(values.kv === undefined ? {} : { kv: values.kv }),
      ...(target.kind === 'files' && weightsValue(values.weights)),
      tests,
      repetitions,
      profiles: values.profile === true,
      loadsAgain: values.load === true,
      availableBytes: freemem(),
      pageMemory: nodeMemory,
      runtime: runtimeName(facts),
      signal: terminal.signal,
      ...(terminal.isErrScreen && { onBench: (progress) => terminal.err(progressLine(progress)) }),
    });
    if (terminal.isErrScreen) terminal.err('\r\u001B[K');
    const name = isBundled(model, values) ? BUNDLED_MODEL : report.model.name;
    const output: BenchOutput = { ...report, ...facts, model: { ...report.model, name } };
    terminal.out(format(output));
    return 0;
  },
});

interface TestValues {
  readonly tests?: string;
  readonly 'prompt-tokens'?: string;
  readonly 'gen-tokens'?: string;
  readonly depth?: string;
  readonly streams?: string;
}

/** Names of the tests asked for; undefined if the defaults of the model's kind will do. */
export function testsOf(values: TestValues, kind: ModelKind): readonly string[] | undefined {
  const { tests, depth, streams } = values;
  const reply = countValue('gen-tokens', values['gen-tokens'] ?? '128', 2);
  const together = (streams === undefined ? [] : countValues('streams', streams)).map((count) =>
    count === 1 ? `tg${reply}` : `tg${reply}x${count}`,
  );
  if (tests !== undefined) return [...new Set([...tests.split(','), ...together])];
  const isDefault = Object.keys(values).every(
    (name) => !['prompt-tokens', 'gen-tokens', 'depth', 'streams'].includes(name),
  );
  if (isDefault) return undefined;
  const prompt = countValue('prompt-tokens', values['prompt-tokens'] ?? '512');
  const deep = countValue('depth', depth ?? '4096', 0);
  const defaults = {
    decoder: [`pp${prompt}`, `tg${reply}`, ...(deep > 0 ? [`tg${reply}@d${deep}`] : [])],
    encoder: [`enc${prompt}`, `enc${prompt}x8`],
    seq2seq: [`enc${prompt}`, `tg${reply}`],
  };
  return [...new Set([...defaults[kind], ...together])];
}

/** How the report is printed. @throws {UsageError} if several ways are asked for */
function formatOf({
  json = false,
  csv = false,
  markdown = false,
}: {
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly markdown?: boolean;
}): (output: BenchOutput) => string {
  if (Number(json) + Number(csv) + Number(markdown) > 1) {
    throw new UsageError(
      'bench: several forms of output, expected one of --json, --csv, --markdown',
    );
  }
  if (json) return (output) => `${JSON.stringify(output)}\n`;
  if (csv) return (output) => reportsCsv([output]);
  return markdown ? (output) => reportsMarkdown([output]) : describeBench;
}

function progressLine(progress: BenchProgress): string {
  const { fraction, leftMs } = progress;
  const left = leftMs === undefined ? '' : `, about ${Math.ceil(leftMs / 1000)} s left`;
  return `\r\u001B[K${Math.floor(100 * fraction)} %${left}: ${phaseOf(progress)}`;
}

function phaseOf({ phase, test = '', done, of }: BenchProgress): string {
  switch (phase) {
    case 'load':
      return 'loading';
    case 'peaks':
    case 'check':
      return 'measuring the adapter';
    case 'test':
      return `${done === undefined ? 'warming up' : `repetition ${done + 1} of ${of}`}, ${test}`;
    case 'profile':
      return `${test}: its kernels`;
    case 'reload':
      return 'loading again';
  }
}
