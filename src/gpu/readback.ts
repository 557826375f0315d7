import { GpuValidationError } from '../util/errors.ts';
import type { Device } from './device.ts';

/**
 * Staging buffers in rotation, through which results of steps come back while later steps run. Created once;
 * reading creates no GPU object.
 */
export class ReadbackRing {
  readonly #device: Device;
  readonly #free: GPUBuffer[] = [];
  readonly #all: readonly GPUBuffer[];

  /** @param slots - results that can be under way at once; @param sizeBytes - most bytes of one result */
  constructor(device: Device, slots: number, sizeBytes: number) {
    this.#device = device;
    this.#all = Array.from({ length: slots }, (_, i) =>
      device.createBuffer('readback', `readback ${i}`, sizeBytes),
    );
    this.#free.push(...this.#all);
  }

  /**
   * Encodes a copy of `[offset, offset + sizeBytes)` of `source` into a free slot.
   *
   * @returns the function to call after the submit, once: it resolves to what `use` makes of the bytes, which are
   *   valid until `use` returns
   * @throws {GpuValidationError} if every slot is under way
   */
  copy(
    encoder: GPUCommandEncoder,
    source: GPUBuffer,
    offset: number,
    sizeBytes: number,
  ): <T>(use: (bytes: ArrayBuffer) => T) => Promise<T> {
    const slot = this.#free.pop();
    if (slot === undefined) {
      throw new GpuValidationError(
        `readback ring: all ${this.#all.length} slots are under way, expected fewer results at once`,
      );
    }
    encoder.copyBufferToBuffer(source, offset, slot, 0, sizeBytes);
    return async (use) => {
      try {
        await slot.mapAsync(GPUMapMode.READ, 0, sizeBytes);
      } catch (cause) {
        throw this.#device.failure ?? cause;
      }
      try {
        return use(slot.getMappedRange(0, sizeBytes));
      } finally {
        slot.unmap();
        this.#free.push(slot);
      }
    };
  }

  dispose(): void {
    for (const buffer of this.#all) this.#device.destroyBuffer(buffer);
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
    const read = ring.copy(encoder, buffer, offset, size);
    device.gpu.queue.submit([encoder.finish()]);
    return await read((bytes) => bytes.slice(0));
  } finally {
    ring.dispose();
  }
}
