/**
 * A `GPU` that tells which devices were opened through it, so that a test can lose or watch them.
 *
 * @param gpu - the one to wrap; it is left as it is
 * @param limits - limits that its adapters claim to have
 */
export function captureDevices(
  gpu: GPU,
  limits: Partial<Record<keyof GPUSupportedLimits, number>> = {},
): { readonly gpu: GPU; readonly devices: readonly GPUDevice[] } {
  const devices: GPUDevice[] = [];
  const adapterOf = (adapter: GPUAdapter): GPUAdapter =>
    overriding(adapter, {
      limits: overriding(adapter.limits, limits),
      async requestDevice(descriptor?: GPUDeviceDescriptor) {
        const device = await adapter.requestDevice(descriptor);
        devices.push(device);
        return device;
      },
    });
  const capturing = overriding(gpu, {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await gpu.requestAdapter(options);
      return adapter && adapterOf(adapter);
    },
  });
  return { gpu: capturing, devices };
}

/** An object with some properties replaced. WebGPU's methods and attributes want the object itself as `this`. */
function overriding<T extends object>(target: T, properties: object): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(key in properties ? properties : object, key);
      return typeof value === 'function' && !(key in properties) ? value.bind(object) : value;
    },
  });
}
