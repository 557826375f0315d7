/** ONNX Runtime's WebGPU provider: models that run on the GPU only, with inputs and outputs there. @module */
import { OnnxGraph, type OnnxModel, type OnnxType } from './onnx.ts';

type Data = Float32Array | Int32Array | BigInt64Array;

/** What ONNX Runtime is called among the peers. */
export const ONNX_RUNTIME = 'ONNX Runtime';

/** What we use of `onnxruntime-node` and `onnxruntime-web`; their own types are there only when the peers are installed. */
export interface Ort {
  readonly env: { logLevel: string };
  readonly Tensor: new (type: string, data: Data, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<OrtSession> };
}

/** A value of a session: numbers in memory, or a buffer of the GPU. */
export interface OrtTensor {
  readonly dims: readonly number[];
  /** Of a value in memory only. */
  readonly data: Data;
  readonly location: string;
  dispose(): void;
}

export type OrtValues = Readonly<Record<string, OrtTensor>>;

/** A model that is ready to run. */
export interface OrtSession {
  /** @param fetches - outputs wanted, or for each where to put it; null is a new place */
  run(
    feeds: OrtValues,
    fetches: readonly string[] | Readonly<Record<string, OrtTensor | null>>,
  ): Promise<OrtValues>;
  release(): Promise<void>;
}

interface OpenOptions {
  /** Where outputs are put that are not given a place when the model runs. */
  readonly outputs: 'gpu' | 'cpu';
}

const TYPES: Readonly<Record<OnnxType, string>> = {
  f32: 'float32',
  u8: 'uint8',
  i32: 'int32',
  i64: 'int64',
};

/** Sessions of one process share one device and its queue. */
export class Peer {
  readonly version: string;
  readonly #ort: Ort;
  readonly #up: OrtSession;
  readonly #down: OrtSession;
  readonly #fence: OrtTensor;

  private constructor(
    version: string,
    ort: Ort,
    up: OrtSession,
    down: OrtSession,
    fence: OrtTensor,
  ) {
    this.version = version;
    this.#ort = ort;
    this.#up = up;
    this.#down = down;
    this.#fence = fence;
  }

  /**
   * Opens its device.
   *
   * @throws if it has no WebGPU
   */
  static async open(ort: Ort, version: string): Promise<Peer> {
    ort.env.logLevel = 'error';
    const graph = new OnnxGraph();
    graph.input('x', 'f32');
    graph.output('y', 'f32');
    graph.node('Identity', ['x'], 'y');
    const model = graph.build();
    const up = await openSession(ort, model, { outputs: 'gpu' });
    const down = await openSession(ort, model, { outputs: 'cpu' });
    const one = new ort.Tensor('float32', new Float32Array(4), [4]);
    const fence = onGpu((await up.run({ x: one }, ['y']))['y']);
    return new Peer(version, ort, up, down, fence);
  }

  /** @throws if a node of the model cannot run on the GPU */
  open(model: OnnxModel, options: OpenOptions): Promise<OrtSession> {
    return openSession(this.#ort, model, options);
  }

  /** What the same model gives on the CPU. */
  async runOnCpu(
    { bytes, externalData }: OnnxModel,
    feeds: OrtValues,
    outputs: readonly string[],
  ): Promise<OrtValues> {
    const session = await this.#ort.InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
      externalData,
    });
    const values = await session.run(feeds, outputs);
    await session.release();
    return values;
  }

  tensor(type: OnnxType, data: Data, dims: readonly number[]): OrtTensor {
    return new this.#ort.Tensor(TYPES[type], data, dims);
  }

  /** Puts numbers on the GPU. */
  async upload(data: Float32Array, dims: readonly number[]): Promise<OrtTensor> {
    return onGpu((await this.#up.run({ x: this.tensor('f32', data, dims) }, ['y']))['y']);
  }

  /** Reads f32 of the GPU back. */
  async read(value: OrtTensor): Promise<Float32Array> {
    return floats((await this.#down.run({ x: value }, ['y']))['y']);
  }

  /** Waits until everything submitted so far has been done: a read-back of 16 bytes comes after it. */
  async settled(): Promise<void> {
    await this.#down.run({ x: this.#fence }, ['y']);
  }
}

/** The numbers of a value that is in memory. */
export function floats(value: OrtTensor | undefined): Float32Array {
  if (!(value?.data instanceof Float32Array)) {
    throw new TypeError('onnxruntime: an output is missing or not float32');
  }
  return value.data;
}

function onGpu(value: OrtTensor | undefined): OrtTensor {
  if (value?.location !== 'gpu-buffer') {
    throw new TypeError('onnxruntime: an output is missing or not on the GPU');
  }
  return value;
}

function openSession(ort: Ort, model: OnnxModel, { outputs }: OpenOptions): Promise<OrtSession> {
  return ort.InferenceSession.create(model.bytes, {
    // Without its checks of what it tells the GPU, in its favor.
    executionProviders: [{ name: 'webgpu', validationMode: 'disabled' }],
    graphOptimizationLevel: 'all',
    externalData: model.externalData,
    // A node that only the CPU can run makes this fail.
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    ...(outputs === 'gpu' && { preferredOutputLocation: 'gpu-buffer' }),
  });
}
