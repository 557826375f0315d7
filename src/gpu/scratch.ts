import type { Device } from './device.ts';

/** When a scratch tensor is needed: from its first dispatch to its last, both inclusive. */
export interface Lifetime {
  readonly sizeBytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Assigns tensors to as few buffers as their lifetimes allow: linear scan in order of first use, each taking
 * the free buffer that fits it best. Buffers, not ranges of one arena, because WebGPU allows no buffer to be
 * read and written by the same dispatch.
 *
 * @returns for each tensor its buffer's index, and each buffer's size in bytes
 */
export function planScratch(lifetimes: readonly Lifetime[]): {
  readonly placement: readonly number[];
  readonly sizes: readonly number[];
} {
  const sizes: number[] = [];
  const busyUntil: number[] = [];
  const placement = Array.from(lifetimes, () => 0);

  const order = lifetimes.map((life, tensor) => ({ ...life, tensor }));
  order.sort((a, b) => a.first - b.first || b.sizeBytes - a.sizeBytes);
  for (const { tensor, sizeBytes, first, last } of order) {
    const slot = bestFit(sizes, busyUntil, sizeBytes, first);
    sizes[slot] = Math.max(sizes[slot] ?? 0, sizeBytes);
    busyUntil[slot] = last;
    placement[tensor] = slot;
  }
  return { placement, sizes };
}

/** Smallest free buffer that is large enough, else the largest free one, which then grows, else a new one. */
function bestFit(
  sizes: readonly number[],
  busyUntil: readonly number[],
  sizeBytes: number,
  now: number,
): number {
  let best = sizes.length;
  for (const [slot, size] of sizes.entries()) {
    if ((busyUntil[slot] ?? 0) >= now) continue;
    const current = sizes[best];
    const fits = size >= sizeBytes;
    const isBetter =
      current === undefined ||
      (current >= sizeBytes ? fits && size < current : fits || size > current);
    if (isBetter) best = slot;
  }
  return best;
}

/**
 * Scratch buffers shared by recordings, such as all of a device. Steps run one after another, so two recordings may
 * use the same memory; a recording that needs more gets larger buffers of its own, which later ones share.
 */
export class ScratchPool {
  readonly #device: Device;
  readonly #buffers: GPUBuffer[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  /** One distinct buffer for each of `sizes`, at least that large. Owned by the pool. */
  acquire(sizes: readonly number[]): readonly GPUBuffer[] {
    const free = [...this.#buffers].sort((a, b) => a.size - b.size);
    const chosen = new Map<number, GPUBuffer>();
    const bySize = [...sizes.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
    for (const index of bySize) {
      const size = sizes[index] ?? 0;
      const fit = free.findIndex((buffer) => buffer.size >= size);
      const [buffer = this.#create(size)] = fit === -1 ? [] : free.splice(fit, 1);
      chosen.set(index, buffer);
    }
    return sizes.map((size, index) => chosen.get(index) ?? this.#create(size));
  }

  /** Zeroes all of it, so that a dispatch that fails to write leaves nothing that looks like a result. */
  clear(encoder: GPUCommandEncoder): void {
    for (const buffer of this.#buffers) encoder.clearBuffer(buffer);
  }

  /** Frees all of it. No recording that uses it may run any more. */
  dispose(): void {
    for (const buffer of this.#buffers.splice(0)) this.#device.destroyBuffer(buffer);
  }

  #create(size: number): GPUBuffer {
    const buffer = this.#device.createBuffer('scratch', `scratch ${this.#buffers.length}`, size);
    this.#buffers.push(buffer);
    return buffer;
  }
}
