import { Generator } from '../engine/generator.ts';
import { DEFAULT_CONTEXT, type EngineLimits, resolveLimits } from '../engine/limits.ts';
import { openModel } from '../engine/model.ts';
import { type Device, type DeviceFacts, openDevice } from '../gpu/device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { Decoder } from '../models/family.ts';
import { type AdapterChoice, openGpu } from '../node/gpu.ts';
import { DeviceLimitError, NoWebGpuError } from '../util/errors.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { WeightLoader } from '../weights/loader.ts';
import { WeightScope } from '../weights/scope.ts';
import type { ModelSource } from '../weights/source.ts';
import { type Command, defineCommand } from './command.ts';
import { formatBytes, formatTable } from './format.ts';
import {
  adapterValue,
  contextValues,
  CONTEXT_OPTIONS,
  GPU_OPTIONS,
  locateModel,
  MODEL_HELP,
} from './model.ts';
import { paperDevice } from './paper_device.ts';

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

/** Bytes of GPU memory with a certain context, or why it cannot be had. */
type MemoryPlan =
  | {
      readonly contextLength: number;
      readonly fits: true;
      /** Tokens the KV cache holds. */
      readonly kvTokens: number;
      readonly bytes: ReturnType<ReturnType<typeof paperDevice>['memory']['report']>;
    }
  | { readonly contextLength: number; readonly fits: false; readonly reason: string };

/** What `quern plan --json` prints. */
export interface Plan {
  readonly model: string;
  readonly modelType: string;
  readonly parameters: number;
  readonly download: {
    readonly files: readonly { readonly name: string; readonly bytes: number }[];
    readonly totalBytes: number;
  };
  /** Weights as they are stored, by dtype. */
  readonly weights: Readonly<Record<string, { readonly tensors: number; readonly bytes: number }>>;
  readonly kvDtype: KvDType;
  readonly memory: readonly MemoryPlan[];
  readonly adapter: DeviceFacts;
  /** Whether the first context of `memory` fits in the adapter's limits. */
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
The exit code is 1 when the model does not fit in the adapter's limits.`,
  options: {
    ...CONTEXT_OPTIONS,
    ...GPU_OPTIONS,
    json: { type: 'boolean', help: 'print one JSON object' },
  },
  examples: [
    'plan weights/tinychat',
    'plan HuggingFaceTB/SmolLM2-135M-Instruct --context 8192 --kv f32',
    'plan path/to/model --adapter lavapipe --json',
  ],
  arguments: { min: 1, max: 1 },
  async run({ context, kv = 'f16', adapter, json }, [model = ''], terminal) {
    const limits = contextValues({ kv, ...(context !== undefined && { context }) });
    const device = await deviceFacts(adapterValue(adapter));
    const source = await locateModel(model);
    const plan = await planModel(model, source, device, limits, terminal.signal);
    terminal.out(json === true ? `${JSON.stringify(plan)}\n` : describe(plan));
    return plan.fits ? 0 : 1;
  },
});

async function planModel(
  model: string,
  source: ModelSource,
  { facts, notes }: { readonly facts: DeviceFacts; readonly notes: readonly string[] },
  asked: EngineLimits,
  signal: AbortSignal,
): Promise<Plan> {
  const { config, family, checkpoint } = await openModel(source, 'decoder', signal);
  const loadOn = (device: Device): Decoder =>
    family.load(config, new WeightScope(new WeightLoader(device, checkpoint)));

  const { maxPositions } = loadOn(paperDevice(withoutLimits(facts)));
  const memory: MemoryPlan[] = [];
  for (const contextLength of contextsToPlan(asked.contextLength, maxPositions)) {
    memory.push(await planMemory(paperDevice(facts), loadOn, { ...asked, contextLength }));
    signal.throwIfAborted();
  }
  const files = await filesOf(source, checkpoint, signal);
  const { weights, parameters } = describeWeights(checkpoint);
  return {
    model,
    modelType: config.string('model_type'),
    parameters,
    download: { files, totalBytes: files.reduce((sum, { bytes }) => sum + bytes, 0) },
    weights,
    kvDtype: asked.kvDtype ?? 'f16',
    memory,
    adapter: facts,
    fits: memory[0]?.fits ?? false,
    notes,
  };
}

/** Sets the engine up as loading does, up to the first step. */
async function planMemory(
  device: Device,
  loadOn: (device: Device) => Decoder,
  asked: EngineLimits & { readonly contextLength: number },
): Promise<MemoryPlan> {
  const { contextLength } = asked;
  try {
    const decoder = loadOn(device);
    const limits = resolveLimits(asked, decoder, device.facts);
    const { runner, scheduler } = new Generator(device, decoder, limits);
    await runner.prepare();
    const kvTokens = limits.pages * limits.pageSize;
    if (scheduler.capacity < contextLength) {
      const { maxStorageBufferBindingSize } = device.facts.limits;
      const reason = `the keys of a layer must fit in a binding of ${formatBytes(maxStorageBufferBindingSize)}: ${scheduler.capacity} tokens do`;
      return { contextLength, fits: false, reason };
    }
    return { contextLength, fits: true, kvTokens, bytes: device.memory.report() };
  } catch (error) {
    if (!(error instanceof DeviceLimitError)) throw error;
    return { contextLength, fits: false, reason: error.message };
  }
}

/** The context that loading would take first, then powers of four up to the model's own. */
export function contextsToPlan(asked: number | undefined, maxPositions: number): readonly number[] {
  const first = asked ?? Math.min(maxPositions, DEFAULT_CONTEXT);
  const others = [maxPositions];
  for (let length = 1024; length < maxPositions; length *= 4) others.push(length);
  return [first, ...others.filter((length) => length !== first).toSorted((a, b) => a - b)];
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

/** The same device with room for any tensor, to read a model that may not fit the real one. */
function withoutLimits(facts: DeviceFacts): DeviceFacts {
  const unlimited = { maxStorageBufferBindingSize: Infinity, maxBufferSize: Infinity };
  return { ...facts, limits: { ...facts.limits, ...unlimited } };
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

function describeWeights({ tensors }: Checkpoint): Pick<Plan, 'weights' | 'parameters'> {
  const weights: Record<string, { tensors: number; bytes: number }> = {};
  let parameters = 0;
  for (const { dtype, shape, begin, end } of tensors.values()) {
    const sum = (weights[dtype] ??= { tensors: 0, bytes: 0 });
    sum.tensors += 1;
    sum.bytes += end - begin;
    parameters += shape.reduce((n, size) => n * size, 1);
  }
  return { weights, parameters };
}

function describe(plan: Plan): string {
  const { adapter, download, memory } = plan;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const names = [adapter.vendor, adapter.architecture, adapter.description];
  const sizes = memory.map((entry) => {
    if (!entry.fits) return [`${entry.contextLength} tokens`, 'does not fit'];
    const { weights, kv, scratch, state, readback, total } = entry.bytes;
    const bytes = [weights, kv, scratch, state + readback, total];
    return [`${entry.contextLength} tokens`, ...bytes.map(formatBytes)];
  });
  const reasons = memory.flatMap((entry) =>
    entry.fits ? [] : [`note: context of ${entry.contextLength} tokens: ${entry.reason}\n`],
  );
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
    `\nGPU memory with a KV cache of ${plan.kvDtype} for two contexts\n`,
    formatTable([['context', 'weights', 'KV cache', 'scratch', 'other', 'total'], ...sizes]),
    '\n',
    `adapter: ${names.filter((name) => name !== '').join(' ')}\n`,
    `  maxBufferSize ${formatBytes(maxBufferSize)}, maxStorageBufferBindingSize ${formatBytes(maxStorageBufferBindingSize)}\n`,
    ...plan.notes.map((note) => `note: ${note}\n`),
    ...reasons,
    plan.fits
      ? `The model fits in the limits of this adapter with a context of ${memory[0]?.contextLength} tokens.\n`
      : `The model does not fit in the limits of this adapter with a context of ${memory[0]?.contextLength} tokens.\n`,
  ].join('');
}
