import {
  DeviceLimitError,
  DeviceLostError,
  GpuValidationError,
  OutOfMemoryError,
  type QuernError,
} from '../util/errors.ts';
import type { DeviceFacts } from './facts.ts';
import { MemoryLedger, type Purpose } from './memory.ts';
import { PipelineCache } from './pipeline_cache.ts';
import type { Decision } from './recorder.ts';
import { ScratchPool } from './scratch.ts';
import type { DeviceTensor, DType } from './tensor.ts';
import { sizeOf } from './tensor.ts';

/** Allocations may end off a 16-byte boundary; kernels read whole vec4s. */
const BUFFER_ALIGNMENT = 16;

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
  readonly #onUncaptured = (event: GPUUncapturedErrorEvent): void => {
    event.preventDefault(); // said by `failure`, not on the console
    this.#fail(namedError(event.error, 'device'));
  };

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
    gpu.addEventListener('uncapturederror', this.#onUncaptured);
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
    // Dawn in Node keeps listeners for ever, and what they refer to: here the device, and the whole model by it.
    this.gpu.removeEventListener('uncapturederror', this.#onUncaptured);
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
