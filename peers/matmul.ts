/** Single multiplications, y[rows, outputs] = x[rows, inputs] · W, with x, W and y on the GPU. @module */
import type { Device } from '../src/gpu/device.ts';
import { readBuffer } from '../src/gpu/readback.ts';
import { Recorder } from '../src/gpu/recorder.ts';
import type { Recording } from '../src/gpu/recording.ts';
import { NO_COUNTS } from '../src/gpu/tensor.ts';
import { matmul } from '../src/kernels/matmul.ts';
import type { Arena } from './arena.ts';
import type { Clock, Sample } from './clock.ts';
import { relativeError, type Contest, type Entry } from './contest.ts';
import { OnnxGraph } from './onnx.ts';
import { addMatrix } from './onnx_parts.ts';
import { ONNX_RUNTIME, type Peer } from './ort.ts';
import { RandomStore, tuneKernels, type Form } from './quern.ts';
import { randomFloats } from './random_weights.ts';

interface Shape {
  readonly form: Form;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

type Sizes = readonly (readonly [inputs: number, outputs: number])[];

/** QKV, output, up (or gate and up) and down projections. */
const BERT_BASE: Sizes = [
  [768, 2304],
  [768, 768],
  [768, 3072],
  [3072, 768],
];
const SMOLLM2_135M: Sizes = [
  [576, 960],
  [576, 576],
  [576, 3072],
  [1536, 576],
];
const QWEN2_05B: Sizes = [
  [896, 1152],
  [896, 896],
  [896, 9728],
  [4864, 896],
];
const HEAD: Sizes = [[576, 49_152]];

/** Least time of a sample in milliseconds. */
const LEAST_MS = 100;
const MOST_CALLS = 256;

export const MATMUL_ENTRIES: readonly Entry[] = [
  ...shapes('f32', [128, 512], BERT_BASE),
  ...shapes('f32', [128], SMOLLM2_135M),
  ...shapes('q4', [128, 512], SMOLLM2_135M),
  ...shapes('q4', [128], QWEN2_05B),
  ...shapes('f32', [1], [...SMOLLM2_135M, ...HEAD]),
  ...shapes('q4', [1], [...SMOLLM2_135M, ...HEAD, ...QWEN2_05B]),
].map((shape) => {
  const { form, rows, inputs, outputs } = shape;
  return {
    group: `matmul ${rows === 1 ? 'decode' : 'prefill'} ${form}`,
    name: `matmul ${form} ${rows} x ${inputs} x ${outputs}`,
    peer: ONNX_RUNTIME,
    open: (arena) => openMatmul(arena, shape),
  };
});

function shapes(form: Form, rows: readonly number[], sizes: Sizes): readonly Shape[] {
  return rows.flatMap((count) =>
    sizes.map(([inputs, outputs]) => ({ form, rows: count, inputs, outputs })),
  );
}

async function openMatmul({ clock, openDevice, openPeer }: Arena, shape: Shape): Promise<Contest> {
  const { rows, inputs, outputs } = shape;
  const x = randomFloats('x', rows * inputs);
  const mine = await openQuernSide(await openDevice(), clock, shape, x);
  const theirs = await openPeerSide(await openPeer(), clock, shape, x);
  const what = '';
  return {
    amounts: { [what]: { count: (2 * rows * inputs * outputs) / 1e9, unit: 'GFLOP' } },
    error: relativeError(await mine.result(), await theirs.result()),
    quern: async () => ({ [what]: await mine.sample() }),
    peer: async () => ({ [what]: await theirs.sample() }),
    async dispose() {
      await mine.dispose();
      await theirs.dispose();
    },
  };
}

interface Side {
  /** Time of one multiplication, of as many as it takes to measure it. */
  sample(): Promise<Sample>;
  result(): Promise<ArrayLike<number>>;
  dispose(): void | Promise<void>;
}

async function openQuernSide(
  device: Device,
  clock: Clock,
  { form, rows, inputs, outputs }: Shape,
  values: Float32Array<ArrayBuffer>,
): Promise<Side> {
  const { gpu } = device;
  const weight = new RandomStore(device, form).matrix(
    [{ name: nameOf(form), rows: outputs }],
    inputs,
  );
  const input = device.createTensor('state', 'x', 'f32', [rows, inputs]);
  const counts = device.createBuffer('state', 'counts', 32, GPUBufferUsage.UNIFORM);
  if (input.memory.kind === 'buffer') gpu.queue.writeBuffer(input.memory.buffer, 0, values);
  const record = (): Promise<Recording> => {
    const recorder = new Recorder(device, {
      dtype: 'u32',
      shape: [8],
      sizeBytes: 32,
      memory: { kind: 'buffer', buffer: counts, offset: 0 },
    });
    recorder.keep('y', matmul(recorder.tensor(input), weight));
    return recorder.finish();
  };
  let recording = await record();
  if (await tuneKernels(device)) recording = await record();
  const run = (times: number): Promise<void> => replay(device, recording, times);
  return {
    sample: sampler(clock, run),
    async result() {
      await run(1);
      const range = recording.kept('y');
      if (range === undefined) throw new RangeError('peers: the product was not kept');
      return new Float32Array(await readBuffer(device, { ...range, size: rows * outputs * 4 }));
    },
    dispose: () => device.dispose(),
  };
}

function replay(device: Device, recording: Recording, times: number): Promise<void> {
  const { gpu } = device;
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < times; i += 1) recording.replay(pass, NO_COUNTS);
  pass.end();
  gpu.queue.submit([encoder.finish()]);
  return gpu.queue.onSubmittedWorkDone().then(() => undefined);
}

async function openPeerSide(
  peer: Peer,
  clock: Clock,
  { form, rows, inputs, outputs }: Shape,
  values: Float32Array<ArrayBuffer>,
): Promise<Side> {
  const graph = new OnnxGraph();
  graph.input('x', 'f32', [rows, inputs]);
  graph.output('y', 'f32', [rows, outputs]);
  addMatrix(graph, form, { x: 'x', y: 'y', name: nameOf(form), inputs, outputs });
  const session = await peer.open(graph.build(), { outputs: 'gpu' });
  const x = await peer.upload(values, [rows, inputs]);
  const multiply = async (): Promise<void> => {
    const { y } = await session.run({ x }, ['y']);
    y?.dispose();
  };
  return {
    sample: sampler(clock, async (times) => {
      for (let i = 0; i < times; i += 1) await multiply();
      await peer.settled();
    }),
    async result() {
      const { y } = await session.run({ x }, ['y']);
      if (y === undefined) throw new RangeError('peers: the session has no y');
      const result = await peer.read(y);
      y.dispose();
      return result;
    },
    async dispose() {
      x.dispose();
      await session.release();
    },
  };
}

/** Measures runs of a length that is found the first time. */
function sampler(clock: Clock, run: (times: number) => Promise<void>): () => Promise<Sample> {
  let times = 0;
  return async () => {
    if (times === 0) {
      const { wallMs } = await clock.timed(() => run(1));
      times = Math.min(Math.max(1, Math.ceil(LEAST_MS / wallMs)), MOST_CALLS);
    }
    const { wallMs, cpuMs } = await clock.timed(() => run(times));
    return { wallMs: wallMs / times, cpuMs: cpuMs / times };
  };
}

function nameOf(form: Form): string {
  return `matmul.${form}`;
}
