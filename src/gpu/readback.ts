import { GpuValidationError } from '../util/errors.ts';
import type { Device } from './device.ts';
import { promptly } from './prompt.ts';

/**
 * Staging buffers in rotation, through which results of steps come back while later steps run. Created once;
 * reading creates no GPU object.
 */
export class ReadbackRing {
  readonly #device: Device;
  readonly #free: GPUBuffer[] = [];
  readonly #all: readonly GPUBuffer[];
  #isDisposed = false;

  /** @param slots - results that can be under way at once; @param sizeBytes - most bytes of one result */
  constructor(device: Device, slots: number, sizeBytes: number) {
    this.#device = device;
    this.#all = Array.from({ length: slots }, (_, i) =>
      device.createBuffer('readback', `readback ${i}`, sizeBytes),
    );
    this.#free.push(...this.#all);
  }

  /**
   * Encodes copies of ranges of GPU memory into a free slot, one after the other.
   *
   * @returns the function to call after the submit, once: it resolves to what `use` makes of the bytes, which are
   *   valid until `use` returns
   * @throws {GpuValidationError} if every slot is under way
   */
  copy(
    encoder: GPUCommandEncoder,
    ...sources: readonly Required<GPUBufferBinding>[]
  ): <T>(use: (bytes: ArrayBuffer) => T) => Promise<T> {
    const slot = this.#free.pop();
    if (slot === undefined) {
      throw new GpuValidationError(
        `readback ring: all ${this.#all.length} slots are under way, expected fewer results at once`,
      );
    }
    let sizeBytes = 0;
    for (const { buffer, offset, size } of sources) {
      encoder.copyBufferToBuffer(buffer, offset, slot, sizeBytes, size);
      sizeBytes += size;
    }
    return async (use) => {
      try {
        const mapped = slot.mapAsync(GPUMapMode.READ, 0, sizeBytes);
        await promptly(this.#device.gpu.queue, mapped);
      } catch (cause) {
        throw this.#device.failure ?? cause;
      }
      try {
        return use(slot.getMappedRange(0, sizeBytes));
      } finally {
        slot.unmap();
        if (this.#isDisposed) this.#device.destroyBuffer(slot);
        else this.#free.push(slot);
      }
    };
  }

  /** Frees the slots; those under way, when their results have been read. */
  dispose(): void {
    this.#isDisposed = true;
    for (const buffer of this.#free) this.#device.destroyBuffer(buffer);
  }
}

/**
 * Reads a range of GPU memory once, through a staging buffer of its own. For tools and tests; the engine
 * reads through a {@link ReadbackRing}.
 */
export async function readBuffer(device: Device, range: GPUBufferBinding): Promise<ArrayBuffer> {
  const { buffer, offset = 0 } = range;
  const size = range.size ?? buffer.size - offset;
  const ring = new ReadbackRing(device, 1, size);
  try {
    const encoder = device.gpu.createCommandEncoder();
    const read = ring.copy(encoder, { buffer, offset, size });
    device.gpu.queue.submit([encoder.finish()]);
    return await read((bytes) => bytes.slice(0));
  } finally {
    ring.dispose();
  }
}
