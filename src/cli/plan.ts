import type { WeightsReport } from '../engine/api.ts';
import { openAnyModel } from '../engine/open_any.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import { openDevice } from '../gpu/open_device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { ModelKind } from '../models/family.ts';
import { type AdapterChoice, openGpu } from '../node/gpu.ts';
import { NoWebGpuError } from '../util/errors.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import type { WeightChoice, WeightOption } from '../weights/forms.ts';
import type { ModelSource } from '../weights/source.ts';
import { type Command, defineCommand, UsageError } from './command.ts';
import { formatBytes, formatTable } from './format.ts';
import {
  adapterValue,
  contextValues,
  CONTEXT_OPTIONS,
  GPU_OPTIONS,
  INPUT_OPTION,
  inputValue,
  KIND_NAMES,
  locateModel,
  MODEL_HELP,
  WEIGHTS_OPTION,
  weightsValue,
} from './model.ts';
import {
  type AskedSizes,
  MEMORY_PLANNERS,
  type MemoryPlan,
  type MemoryPlanner,
  type PlannedSize,
} from './plan_memory.ts';

/** Files that loading reads besides weights, where a repository has them. */
const SMALL_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'model.safetensors.index.json',
];

/** What `quern plan --json` prints. */
export interface Plan {
  readonly model: string;
  readonly kind: ModelKind;
  readonly modelType: string;
  readonly parameters: number;
  readonly download: {
    readonly files: readonly { readonly name: string; readonly bytes: number }[];
    readonly totalBytes: number;
  };
  /** Weights as they are stored, by dtype. */
  readonly weights: Readonly<Record<string, { readonly tensors: number; readonly bytes: number }>>;
  /** What loading would store weights in on the adapter, or what was asked for. */
  readonly stored: WeightsReport;
  /** GPU memory of the weights in each form. */
  readonly forms: Readonly<Record<WeightChoice, number>>;
  /** Element type of the KV cache; null for an encoder, which has none. */
  readonly kvDtype: KvDType | null;
  readonly memory: readonly MemoryPlan[];
  readonly adapter: DeviceFacts;
  /** Whether the first size of `memory` fits in the adapter's limits. */
  readonly fits: boolean;
  readonly notes: readonly string[];
}

/** `quern plan`: what loading a model would take. Reads headers only. */
export const planCommand: Command = defineCommand({
  name: 'plan',
  usage: 'MODEL [options]',
  summary: 'tells what a model would download and how much GPU memory it would take',
  details: `${MODEL_HELP} Reads the configuration and the headers of the weight files only.
WebGPU tells the limits of an adapter, not how much memory it has: compare the totals with your GPU's.
With --json one object; its "kind" is decoder, encoder or seq2seq, and each entry of its "memory" holds
  of a decoder          {"contextLength", "fits", "kvTokens", "bytes"}
  of an encoder         {"texts", "textLength", "fits", "bytes"}: after texts of that many tokens were encoded at once,
                        with what the checkpoint's head gives, or the hidden states; "kvDtype" is null
  of an encoder-decoder {"contextLength", "inputLength", "fits", "kvTokens", "bytes"}: after such an input was read
and {…, "fits": false, "reason"} where it does not fit.
The exit code is 1 when the first of them does not fit in the adapter's limits.`,
  options: {
    ...CONTEXT_OPTIONS,
    ...INPUT_OPTION,
    ...WEIGHTS_OPTION,
    ...GPU_OPTIONS,
    json: { type: 'boolean', help: 'print one JSON object' },
  },
  examples: [
    'plan weights/tinychat',
    'plan HuggingFaceTB/SmolLM2-135M-Instruct --context 8192 --kv f32',
    'plan google-bert/bert-base-uncased --input 256',
    'plan google-t5/t5-small --context 128 --input 2048',
    'plan path/to/model --adapter lavapipe --json',
  ],
  arguments: { min: 1, max: 1 },
  async run(values, [model = ''], terminal) {
    const asked = { ...contextValues(values), ...inputValue(values.input) };
    const { weights = 'auto' } = weightsValue(values.weights);
    const choice = adapterValue(values.adapter);
    const source = await locateModel(model);
    const planner = await openAnyModel<MemoryPlanner>(source, MEMORY_PLANNERS, terminal.signal);
    checkAsked(planner.kind, asked);
    const plan = await planModel(
      model,
      source,
      planner,
      { ...asked, weights },
      choice,
      terminal.signal,
    );
    terminal.out(values.json === true ? `${JSON.stringify(plan)}\n` : describe(plan));
    return plan.fits ? 0 : 1;
  },
});

/** @throws {UsageError} if a size is given that models of this kind do not have */
function checkAsked(kind: ModelKind, { contextLength, inputLength, kvDtype }: AskedSizes): void {
  const isGiven = {
    context: kind === 'encoder' && contextLength !== undefined,
    kv: kind === 'encoder' && kvDtype !== undefined,
    input: kind === 'decoder' && inputLength !== undefined,
  };
  for (const [name, isWrong] of Object.entries(isGiven)) {
    if (!isWrong) continue;
    const other = name === 'input' ? '; use --context' : name === 'context' ? '; use --input' : '';
    throw new UsageError(`plan: --${name} is not for ${KIND_NAMES[kind]}${other}`);
  }
}

async function planModel(
  model: string,
  source: ModelSource,
  planner: MemoryPlanner,
  asked: AskedSizes & { readonly weights: WeightOption },
  choice: AdapterChoice,
  signal: AbortSignal,
): Promise<Plan> {
  const { kind, files: of } = planner;
  const { facts, notes } = await deviceFacts(choice);
  const stored = planner.chooseForm(asked.weights, facts);
  const memory = await planner.plan({ ...asked, form: stored.form }, facts, signal);
  const files = await filesOf(source, of.checkpoint, signal);
  return {
    model,
    kind,
    modelType: of.modelType,
    parameters: of.parameters,
    download: { files, totalBytes: files.reduce((sum, { bytes }) => sum + bytes, 0) },
    weights: describeWeights(of.checkpoint),
    stored,
    forms: {
      stored: planner.weightBytes('stored'),
      f32: planner.weightBytes('f32'),
      f16: planner.weightBytes('f16'),
      q8: planner.weightBytes('q8'),
      q4: planner.weightBytes('q4'),
    },
    kvDtype: kind === 'encoder' ? null : (asked.kvDtype ?? 'f16'),
    memory,
    adapter: facts,
    fits: memory[0]?.fits ?? false,
    notes,
  };
}

/** The limits of the adapter, or WebGPU's defaults where there is no adapter. */
async function deviceFacts(
  choice: AdapterChoice,
): Promise<{ readonly facts: DeviceFacts; readonly notes: readonly string[] }> {
  try {
    const device = await openDevice(await openGpu(choice));
    device.dispose();
    return { facts: device.facts, notes: [] };
  } catch (error) {
    if (!(error instanceof NoWebGpuError)) throw error;
    // Dawn's null backend needs no adapter; it is here for the constants that come with it.
    const device = await openDevice(await openGpu('null'), {
      defaultLimits: true,
      without: ['shader-f16', 'subgroups', 'timestamp-query'],
    });
    device.dispose();
    const description = 'none; the default limits of WebGPU';
    return {
      facts: { ...device.facts, vendor: '', architecture: '', description },
      notes: [error.message],
    };
  }
}

async function filesOf(
  source: ModelSource,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<Plan['download']['files']> {
  const small = await Promise.all(
    SMALL_FILES.map(async (name) => ({ name, file: await source.open(name, signal) })),
  );
  const weights = checkpoint.files.map((file) => ({
    name: file.name.split(/[\\/]/).pop() ?? file.name,
    file,
  }));
  return [...small, ...weights].flatMap(({ name, file }) =>
    file === undefined ? [] : [{ name, bytes: file.size }],
  );
}

function describeWeights({ tensors }: Checkpoint): Plan['weights'] {
  const weights: Record<string, { tensors: number; bytes: number }> = {};
  for (const { dtype, begin, end } of tensors.values()) {
    const sum = (weights[dtype] ??= { tensors: 0, bytes: 0 });
    sum.tensors += 1;
    sum.bytes += end - begin;
  }
  return weights;
}

function describe(plan: Plan): string {
  const { adapter, download, memory } = plan;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const names = [adapter.vendor, adapter.architecture, adapter.description];
  const reasons = memory.flatMap((entry) =>
    entry.fits ? [] : [`note: ${describeSize(entry)}: ${entry.reason}\n`],
  );
  const [first] = memory;
  const verdict = plan.fits ? 'fits' : 'does not fit';
  return [
    `${plan.model}: ${plan.modelType}, ${plan.parameters} parameters\n\n`,
    formatTable([
      ['download', ''],
      ...download.files.map(({ name, bytes }) => [`  ${name}`, formatBytes(bytes)]),
      ['  total', formatBytes(download.totalBytes)],
    ]),
    '\n',
    formatTable([
      ['weights', 'tensors', ''],
      ...Object.entries(plan.weights).map(([dtype, { tensors, bytes }]) => [
        `  ${dtype}`,
        `${tensors}`,
        formatBytes(bytes),
      ]),
    ]),
    '\n',
    formatTable([
      ['weights on the GPU', ''],
      ...Object.entries(plan.forms).map(([form, bytes]) => [
        `  ${form === 'stored' ? 'as in the files' : form}`,
        formatBytes(bytes),
      ]),
    ]),
    `\nGPU memory ${MEMORY_OF[plan.kind](plan)}, weights ${describeForm(plan.stored)}\n`,
    memoryTable(plan),
    '\n',
    `adapter: ${names.filter((name) => name !== '').join(' ')}\n`,
    `  maxBufferSize ${formatBytes(maxBufferSize)}, maxStorageBufferBindingSize ${formatBytes(maxStorageBufferBindingSize)}\n`,
    ...plan.notes.map((note) => `note: ${note}\n`),
    ...reasons,
    first === undefined
      ? ''
      : `The model ${verdict} in the limits of this adapter with ${describeSize(first)}.\n`,
  ].join('');
}

function describeForm({ form, reason }: WeightsReport): string {
  return `${form === 'stored' ? 'as in the files' : `in ${form}`} (${reason})`;
}

/** What the memory is for. */
const MEMORY_OF: Readonly<Record<ModelKind, (plan: Plan) => string>> = {
  decoder: ({ kvDtype }) => `with a KV cache of ${kvDtype} for two contexts`,
  encoder: () => 'after encoding so much at once',
  seq2seq: ({ kvDtype }) => `with a KV cache of ${kvDtype} for four contexts and two inputs`,
};

function memoryTable({ kind, memory }: Plan): string {
  const hasCache = kind !== 'encoder';
  const rows = memory.map((entry) => {
    if (!entry.fits) return [describeSize(entry), 'does not fit'];
    const { weights, kv, scratch, state, readback, total } = entry.bytes;
    const bytes = [weights, ...(hasCache ? [kv] : []), scratch, state + readback, total];
    return [describeSize(entry), ...bytes.map(formatBytes)];
  });
  const columns = ['weights', ...(hasCache ? ['KV cache'] : []), 'scratch', 'other', 'total'];
  return formatTable([['', ...columns], ...rows]);
}

function describeSize(size: PlannedSize): string {
  if ('texts' in size) {
    return size.texts === 1
      ? `a text of ${size.textLength} tokens`
      : `${size.texts} texts of ${size.textLength} tokens`;
  }
  const context = `a context of ${size.contextLength} tokens`;
  return size.inputLength === undefined
    ? context
    : `an input of ${size.inputLength} tokens and ${context}`;
}
