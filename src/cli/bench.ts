import { readFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { basename, dirname, resolve } from 'node:path';
import { measurePeaks, type Peaks } from '../bench/peaks.ts';
import type { KernelResult } from '../bench/kernel_bench.ts';
import { targetKind, type BenchTarget } from '../bench/open_model.ts';
import { runBench, type BenchProgress, type BenchReport } from '../bench/run_bench.ts';
import { caseSizes, shapeConfig, SHAPES } from '../bench/shapes.ts';
import { openDevice } from '../gpu/device.ts';
import { WEIGHT_FORMS, type WeightForm } from '../kernels/matrix.ts';
import { ConfigReader } from '../models/config.ts';
import type { ModelKind } from '../models/family.ts';
import { openGpu } from '../node/gpu.ts';
import { ConfigError } from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { benchFacts, NODE_CLOCK, REPOSITORY, type BenchFacts } from './bench_facts.ts';
import {
  benchKernels,
  countValues,
  KERNEL_OPTIONS,
  kernelWishes,
  refuseOptions,
} from './bench_kernels.ts';
import { describeBench, describeFacts, describeKernels, describePeaks } from './bench_tables.ts';
import { choiceValue, type Command, countValue, defineCommand, UsageError } from './command.ts';
import {
  adapterValue,
  contextValues,
  GPU_OPTIONS,
  locateModel,
  MODEL_HELP,
  weightsValue,
} from './model.ts';
import type { Terminal } from './terminal.ts';

const BUNDLED = `${REPOSITORY}weights/tinychat`;
/** Form of made-up weights unless asked otherwise. */
const DEFAULT_FORM: WeightForm = 'f16';

/** What `quern bench --json` prints: {@link BenchReport} has the measurements. */
export type BenchOutput = BenchReport & BenchFacts;

/** What `quern bench --kernels --json` prints. */
export interface KernelsOutput extends BenchFacts {
  readonly schema: 'quern-kernels/1';
  readonly date: string;
  readonly peaks: Peaks;
  readonly kernels: readonly KernelResult[];
}

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
Each is run once to warm up and then as often as --repetitions says. Prompts are random ids, sampling is greedy and counted.

The limit beside each figure follows from ceilings measured on this adapter first: streaming reads (BW) and
multiplications and additions in registers, in f32 (FMA).
  decode  tokens/s <= streams * BW / (W + KV)   W: bytes of weights a step reads; KV: keys and values of all streams
  prefill tokens/s <= FMA * T / FLOP            FLOP = 2 * P * T + 2 * L * H * K * T^2, for encoders 4 * L * H * K * T^2
P: weights that every token is multiplied with; L, H, K: layers, heads, size of a head. --profile runs each kernel of the
last step by itself, over and over.`,
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
      ...contextValues(kvOf(values)),
      ...(target.kind === 'files' && weightsValue(values.weights)),
      tests,
      repetitions,
      profiles: values.profile === true,
      availableBytes: freemem(),
      signal: terminal.signal,
      ...(terminal.isErrScreen && { onBench: (progress) => terminal.err(progressLine(progress)) }),
    });
    if (terminal.isErrScreen) terminal.err('\r\u001B[K');
    const name = isBundled(model, values) ? 'weights/tinychat' : report.model.name;
    const output: BenchOutput = { ...report, ...facts, model: { ...report.model, name } };
    terminal.out(values.json === true ? `${JSON.stringify(output)}\n` : describeBench(output));
    return 0;
  },
});

interface TargetValues {
  readonly shape?: string;
  readonly config?: string;
  readonly weights?: string;
}

function isBundled(model: string | undefined, { shape, config }: TargetValues): boolean {
  return model === undefined && shape === undefined && config === undefined;
}

async function targetOf(
  model: string | undefined,
  { shape, config, weights = 'auto' }: TargetValues,
): Promise<BenchTarget> {
  const given = [model, shape, config].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new UsageError('bench: several models, expected one of MODEL, --shape and --config');
  }
  if (shape === undefined && config === undefined) {
    return { kind: 'files', source: await locateModel(model ?? BUNDLED) };
  }
  const made = shape === undefined ? await readConfig(config ?? '') : shapeOf(shape);
  const form = choiceValue('weights', weights, ['auto', ...WEIGHT_FORMS]);
  return { kind: 'shape', ...made, form: form === 'auto' ? DEFAULT_FORM : form };
}

function shapeOf(name: string): { readonly name: string; readonly config: ConfigReader } {
  return { name, config: shapeConfig(choiceValue('shape', name, Object.keys(SHAPES))) };
}

async function readConfig(
  path: string,
): Promise<{ readonly name: string; readonly config: ConfigReader }> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`${path}: ${reason}`, { cause });
  }
  if (!isRecord(json)) throw new ConfigError(`${path}: not an object, expected a configuration`);
  return { name: basename(dirname(resolve(path))), config: new ConfigReader(json) };
}

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

/** `quern bench --kernels`. */
async function runKernels(
  values: TargetValues &
    Parameters<typeof kernelWishes>[0] & {
      readonly kv?: string;
      readonly adapter?: string;
      readonly json?: boolean;
    },
  repetitions: number,
  facts: BenchFacts,
  terminal: Terminal,
): Promise<void> {
  const { shape = 'smollm2-135m', config, weights = DEFAULT_FORM } = values;
  const wishes = kernelWishes(values);
  const sizes = caseSizes(
    (config === undefined ? shapeOf(shape) : await readConfig(config)).config,
  );
  const forms = weights.split(',').map((form) => choiceValue('weights', form, WEIGHT_FORMS));
  const { kvDtype = 'f16' } = contextValues(kvOf(values));
  const { signal } = terminal;
  const device = await openDevice(await openGpu(adapterValue(values.adapter)));
  const date = new Date().toISOString();
  const isText = values.json !== true;
  try {
    const peaks = await measurePeaks(device, NODE_CLOCK, { signal });
    if (isText) terminal.out(`${describeFacts(facts, date)}${describePeaks(peaks)}`);
    const kernels = await benchKernels(device, sizes, wishes, {
      forms,
      kvDtype,
      repetitions,
      availableBytes: freemem(),
      signal,
      onResult(results) {
        if (isText && results.length > 0) terminal.out(`\n${describeKernels(results, peaks)}`);
      },
    });
    const output: KernelsOutput = { schema: 'quern-kernels/1', date, ...facts, peaks, kernels };
    if (!isText) terminal.out(`${JSON.stringify(output)}\n`);
  } finally {
    device.dispose();
  }
}

function kvOf({ kv }: { readonly kv?: string }): { readonly kv?: string } {
  return kv === undefined ? {} : { kv };
}

function progressLine({ phase, test, done, of }: BenchProgress): string {
  const clear = '\r\u001B[K';
  switch (phase) {
    case 'load':
      return `${clear}loading`;
    case 'peaks':
      return `${clear}measuring the adapter`;
    case 'test':
      return `${clear}${test ?? ''}: ${done === 0 ? 'warming up' : `${done} of ${of}`}`;
    case 'profile':
      return `${clear}${test ?? ''}: its kernels`;
  }
}
