import {
  DeviceLimitError,
  DeviceLostError,
  GpuValidationError,
  NoWebGpuError,
  OutOfMemoryError,
  type QuernError,
} from '../util/errors.ts';
import { MemoryLedger, type Purpose } from './memory.ts';
import { PipelineCache } from './pipeline_cache.ts';
import type { Decision } from './recorder.ts';
import { ScratchPool } from './scratch.ts';
import type { DeviceTensor, DType } from './tensor.ts';
import { sizeOf } from './tensor.ts';

/** See `DeviceFacts.subgroupMatrix`. */
export interface SubgroupMatrix {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What kernel choice depends on. Plain data, so that the choice can be tested without a GPU. */
export interface DeviceFacts {
  readonly vendor: string;
  readonly architecture: string;
  /** The GPU's own name or number, where the browser tells it. */
  readonly device: string;
  readonly description: string;
  /** The adapter runs on the CPU: right answers, slowly. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  /** Subgroup operations and the `subgroup_id` builtin, which our reductions need to index by subgroup. */
  readonly hasSubgroups: boolean;
  /** Fewest threads that a subgroup may have: 4, the least of all, where the browser does not tell. */
  readonly subgroupMinSize: number;
  /** Most threads that a subgroup may have: 128 where the browser does not tell. */
  readonly subgroupMaxSize: number;
  /** Sizes of subgroup matrices of f32 with f32 results, if the device has them: [m, k] by [k, n]. */
  readonly subgroupMatrix: SubgroupMatrix | undefined;
  /** WGSL's products of packed integers; not all that have them are fast at it. */
  readonly hasDot4: boolean;
  readonly hasTimestamps: boolean;
  /**
   * SwiftShader runs the threads of a workgroup as coroutines: a kernel with barriers takes seconds to compile and runs
   * slower than one whose threads work alone.
   */
  readonly hasSlowBarriers: boolean;
  /** Kernels and shader libraries that gave wrong results here: names of `VARIANTS` in kernels/variants.ts. */
  readonly dropped: ReadonlySet<string>;
  /** Variants that were measured to be the fastest here, by what `Recorder.decide` calls the choice. */
  readonly tuned: ReadonlyMap<string, string>;
  readonly limits: {
    readonly maxStorageBufferBindingSize: number;
    readonly maxBufferSize: number;
    readonly maxComputeWorkgroupsPerDimension: number;
  };
}

/** Features that may be withheld, to run as a device without them would. */
export type OptionalFeature = 'shader-f16' | 'subgroups' | 'timestamp-query';

export interface OpenDeviceOptions {
  /** Features not to ask for although the adapter has them. */
  readonly without?: readonly OptionalFeature[];
  /** Ask for the WebGPU default limits instead of the adapter's. */
  readonly defaultLimits?: boolean;
  readonly powerPreference?: GPUPowerPreference;
}

const OPTIONAL_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
/** Chrome has it behind `--enable-unsafe-webgpu`; the standard does not know it yet. */
const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';
const RAISED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** What the kernels are written for: the limits that WebGPU guarantees. */
const NEEDED_LIMITS = [
  ['maxStorageBuffersPerShaderStage', 8],
  ['maxComputeInvocationsPerWorkgroup', 256],
  ['maxComputeWorkgroupSizeX', 256],
  ['maxComputeWorkgroupStorageSize', 16384],
] as const;

/** Allocations may end off a 16-byte boundary; kernels read whole vec4s. */
const BUFFER_ALIGNMENT = 16;

/**
 * Opens the best adapter with every feature and limit Quern can use.
 *
 * @param gpu - `navigator.gpu` of a page or worker, or a Dawn instance in Node
 * @throws {NoWebGpuError} if there is no WebGPU or no adapter, or the adapter refuses to give a device
 * @throws {DeviceLimitError} if the adapter is below the WebGPU default limits
 */
export async function openDevice(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
  options: OpenDeviceOptions = {},
): Promise<Device> {
  if (gpu === undefined) {
    throw new NoWebGpuError(
      'WebGPU: navigator.gpu is missing; use a browser with WebGPU (Chrome or Edge 113+, Safari 26+, Firefox 141+) on a page served over https or localhost',
    );
  }
  const adapter = await requestAdapter(gpu, options.powerPreference);
  checkLimits(adapter.limits);
  const without = new Set<string>(options.without);
  if (without.has('subgroups')) without.add(SUBGROUP_MATRIX);
  const requiredFeatures = [...OPTIONAL_FEATURES, SUBGROUP_MATRIX].filter(
    (name): name is GPUFeatureName => adapter.features.has(name) && !without.has(name),
  );
  const requiredLimits =
    options.defaultLimits === true
      ? {}
      : Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  let device: GPUDevice | undefined;
  try {
    device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    return new Device(device, readFacts(gpu, adapter, device));
  } catch (cause) {
    device?.destroy();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NoWebGpuError(
      `WebGPU: the adapter gives no device: ${reason}; restart the browser or update the graphics driver`,
      { cause },
    );
  }
}

function checkLimits(limits: GPUSupportedLimits): void {
  for (const [name, needed] of NEEDED_LIMITS) {
    const available = limits[name];
    if (available < needed) {
      throw new DeviceLimitError(
        name,
        available,
        needed,
        'this adapter is below the WebGPU default limits; update the browser or the driver',
      );
    }
  }
}

async function requestAdapter(
  gpu: GPU,
  powerPreference: GPUPowerPreference = 'high-performance',
): Promise<GPUAdapter> {
  let cause: unknown;
  try {
    const adapter = await gpu.requestAdapter({ powerPreference });
    if (adapter !== null) return adapter;
  } catch (error) {
    cause = error;
  }
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  throw new NoWebGpuError(
    `WebGPU: the browser offers no adapter${reason}; turn on hardware acceleration, update the graphics driver, or look at chrome://gpu or about:support for the reason`,
    { cause },
  );
}

function readFacts(gpu: GPU, adapter: GPUAdapter, device: GPUDevice): DeviceFacts {
  // Chrome has `info` from 127 and `info.isFallbackAdapter` from 140.
  const info: Partial<GPUAdapterInfo> = adapter.info ?? {};
  const { vendor = '', architecture = '', description = '', isFallbackAdapter = false } = info;
  const { device: model = '', subgroupMinSize = 4, subgroupMaxSize = 128 } = info;
  const names = `${vendor} ${architecture} ${model} ${description}`.toLowerCase();
  const { limits, features } = device;
  return {
    vendor,
    architecture,
    device: model,
    description,
    isSoftware: isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/.test(names),
    hasF16: features.has('shader-f16'),
    hasSubgroups: features.has('subgroups') && gpu.wgslLanguageFeatures.has('subgroup_id'),
    subgroupMinSize,
    subgroupMaxSize,
    subgroupMatrix: features.has(SUBGROUP_MATRIX) ? readSubgroupMatrix(info) : undefined,
    hasDot4: gpu.wgslLanguageFeatures.has('packed_4x8_integer_dot_product'),
    hasTimestamps: features.has('timestamp-query'),
    hasSlowBarriers: names.includes('swiftshader'),
    dropped: new Set(),
    tuned: new Map(),
    limits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    },
  };
}

function readSubgroupMatrix(info: object): SubgroupMatrix | undefined {
  const { subgroupMatrixConfigs = [] } = info as {
    readonly subgroupMatrixConfigs?: Iterable<{
      readonly componentType: string;
      readonly resultComponentType: string;
      readonly M: number;
      readonly N: number;
      readonly K: number;
    }>;
  };
  const config = [...subgroupMatrixConfigs].find(
    ({ componentType, resultComponentType }) =>
      componentType === 'f32' && resultComponentType === 'f32',
  );
  return config && { m: config.M, n: config.N, k: config.K };
}

/** One GPU device: its memory, its pipelines, and the first thing that went wrong with it. */
export class Device {
  readonly gpu: GPUDevice;
  readonly memory: MemoryLedger = new MemoryLedger();
  readonly pipelines: PipelineCache;
  readonly scratch: ScratchPool;
  /** Choices that recorders on this device have made, by key; see `Recorder.decide`. */
  readonly decisions: Map<string, Decision> = new Map();
  /** Resolves when the device fails or is lost; never when it is disposed on purpose. Never rejects. */
  readonly failed: Promise<QuernError>;

  #fail: (error: QuernError) => void = () => undefined;
  #failure: QuernError | undefined;
  #isDisposed = false;
  #facts: DeviceFacts;
  #allocations: Promise<void>[] = [];
  #purposes = new WeakMap<GPUBuffer, Purpose>();

  constructor(gpu: GPUDevice, facts: DeviceFacts) {
    this.gpu = gpu;
    this.#facts = facts;
    this.pipelines = new PipelineCache(gpu);
    this.scratch = new ScratchPool(this);
    this.failed = new Promise((resolve) => {
      this.#fail = (error) => {
        this.#failure ??= error;
        resolve(this.#failure);
      };
    });
    gpu.addEventListener('uncapturederror', (event) => {
      event.preventDefault(); // said by `failure`, not on the console
      this.#fail(namedError(event.error, 'device'));
    });
    void gpu.lost.then(({ reason, message }) => {
      if (this.#isDisposed) return;
      const said = message === '' ? reason : `${reason}: ${message.trim()}`;
      this.#fail(
        new DeviceLostError(`device: lost (${said}); load the model again`, { reason: said }),
      );
    });
  }

  get facts(): DeviceFacts {
    return this.#facts;
  }

  /** Has what is recorded from now on do without these variants. */
  drop(variants: Iterable<string>): void {
    this.#facts = { ...this.#facts, dropped: new Set([...this.#facts.dropped, ...variants]) };
  }

  /** Has what is recorded from now on use what was measured to be fastest: see `DeviceFacts.tuned`. */
  tune(choices: Iterable<readonly [key: string, name: string]>): void {
    this.#facts = { ...this.#facts, tuned: new Map([...this.#facts.tuned, ...choices]) };
  }

  /** First error the device reported outside of a checked operation, if any. */
  get failure(): QuernError | undefined {
    return this.#failure;
  }

  /** @throws {QuernError} the device's first failure */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Allocates zeroed GPU memory. Running out shows at the next {@link settled}.
   *
   * @throws {DeviceLimitError} if the device cannot have a buffer of this size
   */
  createBuffer(purpose: Purpose, label: string, sizeBytes: number, extra = 0): GPUBuffer {
    const size = Math.max(
      BUFFER_ALIGNMENT,
      Math.ceil(sizeBytes / BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT,
    );
    const { maxBufferSize } = this.facts.limits;
    if (size > maxBufferSize) {
      throw new DeviceLimitError('maxBufferSize', maxBufferSize, size, `${label} does not fit`);
    }
    const usage =
      purpose === 'readback'
        ? GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST
        : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | extra;
    this.gpu.pushErrorScope('out-of-memory');
    const buffer = this.gpu.createBuffer({ label, size, usage });
    const check = this.gpu.popErrorScope().then((error) => {
      if (error !== null) {
        throw new OutOfMemoryError(
          `device: no GPU memory for ${label} (${size} bytes); choose a smaller model or a shorter context, or close other tabs`,
          { cause: error },
        );
      }
    });
    // The rejection is reported by `settled`; until then it must not count as unhandled.
    check.catch(() => undefined);
    this.#allocations.push(check);
    this.memory.add(purpose, size);
    this.#purposes.set(buffer, purpose);
    return buffer;
  }

  /** A new zeroed tensor in a buffer of its own. @throws {DeviceLimitError} */
  createTensor(
    purpose: Purpose,
    label: string,
    dtype: DType,
    shape: readonly number[],
  ): DeviceTensor {
    const sizeBytes = sizeOf(dtype, shape);
    const { maxStorageBufferBindingSize } = this.facts.limits;
    if (sizeBytes > maxStorageBufferBindingSize) {
      throw new DeviceLimitError(
        'maxStorageBufferBindingSize',
        maxStorageBufferBindingSize,
        sizeBytes,
        `${label} does not fit; choose a shorter context or a smaller model`,
      );
    }
    const buffer = this.createBuffer(purpose, label, sizeBytes);
    return { shape, dtype, sizeBytes, memory: { kind: 'buffer', buffer, offset: 0 } };
  }

  /** What a buffer made by {@link createBuffer} is for; undefined if it is free. */
  purposeOf(buffer: GPUBuffer): Purpose | undefined {
    return this.#purposes.get(buffer);
  }

  /** Frees a buffer made by {@link createBuffer}; does nothing if it is free already. */
  destroyBuffer(buffer: GPUBuffer): void {
    const purpose = this.#purposes.get(buffer);
    if (purpose === undefined) return;
    this.#purposes.delete(buffer);
    this.memory.add(purpose, -buffer.size);
    buffer.destroy();
  }

  /**
   * Waits until every allocation so far has been granted.
   *
   * @throws {OutOfMemoryError} if one was not
   * @throws {QuernError} if the device has failed
   */
  async settled(): Promise<void> {
    const allocations = this.#allocations;
    this.#allocations = [];
    await Promise.all(allocations);
    this.throwIfFailed();
  }

  /** Frees everything on the device. Work in flight is dropped. */
  dispose(): void {
    this.#isDisposed = true;
    this.#purposes = new WeakMap();
    this.memory.clear();
    this.gpu.destroy();
  }
}

/** Names an error that WebGPU reported. */
function namedError(error: GPUError, where: string): QuernError {
  if (error instanceof GPUOutOfMemoryError) {
    return new OutOfMemoryError(`${where}: out of GPU memory: ${error.message}`, { cause: error });
  }
  return new GpuValidationError(`${where}: ${error.message}`, { cause: error });
}
