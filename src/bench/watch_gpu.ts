/** Listening in on WebGPU's own objects, so that what is counted is what was really called. @module */

/**
 * A `GPU` that shows each device it gives to `watch`.
 *
 * @param gpu - the one to wrap; it is left as it is, its adapters and devices are not
 */
export function watchDevices(gpu: GPU, watch: (device: object) => void): GPU {
  return new Proxy(gpu, {
    get(target, key) {
      if (key === 'requestAdapter') {
        return async (options?: GPURequestAdapterOptions) => {
          const adapter = await target.requestAdapter(options);
          listen(adapter, 'requestDevice', async (promise) => {
            const device: unknown = await promise;
            if (isObject(device)) watch(device);
            return device;
          });
          return adapter;
        };
      }
      // WebGPU's methods and attributes want the object itself, not its proxy.
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Replaces a method of an object by one that also passes its result, and what it was called with, through `after`. */
export function listen(
  object: unknown,
  method: string,
  after: (result: unknown, args: readonly unknown[]) => unknown,
): void {
  if (!isObject(object)) return;
  const original: unknown = Reflect.get(object, method);
  if (typeof original !== 'function') return;
  Reflect.set(object, method, (...args: readonly unknown[]) =>
    after(Reflect.apply(original, object, args), args),
  );
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
