import { isObject, listen, watchDevices } from './watch_gpu.ts';

/** GPU buffers that are alive on all devices, from creation until they or their device are destroyed. */
export class GpuMemory {
  readonly #devices = new Map<object, Map<object, number>>();
  #bytes = 0;
  #peakBytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Devices that were not destroyed. */
  get devices(): number {
    return this.#devices.size;
  }

  /** Most bytes alive at once since this was last asked. */
  takePeak(): number {
    const peak = this.#peakBytes;
    this.#peakBytes = this.#bytes;
    return peak;
  }

  /** Counts what is created on a device from now on. */
  watch(device: object): void {
    const buffers = new Map<object, number>();
    this.#devices.set(device, buffers);
    listen(device, 'createBuffer', (buffer) => {
      if (!isObject(buffer)) return buffer;
      const size: unknown = Reflect.get(buffer, 'size');
      buffers.set(buffer, Number(size));
      this.#add(Number(size));
      listen(buffer, 'destroy', (result) => {
        this.#add(-(buffers.get(buffer) ?? 0));
        buffers.delete(buffer);
        return result;
      });
      return buffer;
    });
    listen(device, 'destroy', (result) => {
      for (const size of buffers.values()) this.#add(-size);
      buffers.clear();
      this.#devices.delete(device);
      return result;
    });
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
  }
}

/** A `GPU` whose devices' buffers are counted; `memory` is live. */
export function countMemory(gpu: GPU): { readonly gpu: GPU; readonly memory: GpuMemory } {
  const memory = new GpuMemory();
  return { gpu: watchDevices(gpu, (device) => memory.watch(device)), memory };
}
