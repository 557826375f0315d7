import { roundUp } from '../util/arith.ts';
import { mapValues } from '../util/objects.ts';
import type { Device } from './device.ts';
import { sizeOf, type DeviceTensor } from './tensor.ts';

/** What a region of step state holds, and its shape. */
export interface Field {
  readonly dtype: 'u32' | 'i32' | 'f32';
  readonly shape: readonly number[];
}

/** A region of step state: the GPU's tensor, and the CPU's copy to fill before the upload. */
export interface Region {
  readonly tensor: DeviceTensor;
  /** The CPU's copy as u32 (or the bits of i32). */
  readonly words: Uint32Array<ArrayBuffer>;
  /** The same memory as f32. */
  readonly floats: Float32Array<ArrayBuffer>;
}

/** Alignment of a binding's offset that every WebGPU device accepts. */
const OFFSET_ALIGNMENT = 256;

/**
 * Everything that changes from step to step, in one GPU buffer that the CPU rewrites before each step with a
 * single `writeBuffer`. Submissions are ordered, so steps in flight each see the state they were given.
 */
export class StateBuffer<K extends string> {
  readonly regions: Readonly<Record<K, Region>>;
  readonly #device: Device;
  readonly #buffer: GPUBuffer;
  readonly #mirror: ArrayBuffer;

  /** @param fields - regions in the order they lie in memory; large, rarely full ones last */
  constructor(device: Device, fields: Readonly<Record<K, Field>>) {
    let size = 0;
    const placed = mapValues(fields, ({ dtype, shape }) => {
      const offset = size;
      const sizeBytes = sizeOf(dtype, shape);
      size += roundUp(sizeBytes, OFFSET_ALIGNMENT);
      return { dtype, shape, offset, sizeBytes };
    });
    const buffer = device.createBuffer('state', 'step state', size, GPUBufferUsage.UNIFORM);
    const mirror = new ArrayBuffer(size);
    this.#device = device;
    this.#buffer = buffer;
    this.#mirror = mirror;
    this.regions = mapValues(placed, ({ dtype, shape, offset, sizeBytes }) => ({
      tensor: { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer, offset } },
      words: new Uint32Array(mirror, offset, sizeBytes / 4),
      floats: new Float32Array(mirror, offset, sizeBytes / 4),
    }));
  }

  /** Sends everything up to the first `length` elements of `last` to the GPU. */
  upload(last: K, length: number): void {
    const { words } = this.regions[last];
    const end = words.byteOffset + Math.min(length, words.length) * 4;
    this.#device.gpu.queue.writeBuffer(this.#buffer, 0, this.#mirror, 0, end);
  }

  /** Sends everything to the GPU. */
  uploadAll(): void {
    this.#device.gpu.queue.writeBuffer(this.#buffer, 0, this.#mirror);
  }

  dispose(): void {
    this.#device.destroyBuffer(this.#buffer);
  }
}
