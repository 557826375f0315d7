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

/**
 * A `GPU` whose devices can be lost as drivers lose them: all at once says so, and what is under way still comes back.
 *
 * @param gpu - the one to wrap; it is left as it is
 */
export function losableGpu(gpu: GPU): {
  readonly gpu: GPU;
  /** Devices opened so far. */
  readonly devices: readonly GPUDevice[];
  /** Loses the device that was opened last. */
  readonly lose: (message: string) => void;
} {
  const devices: GPUDevice[] = [];
  const lost: ((info: GPUDeviceLostInfo) => void)[] = [];
  const deviceOf = (device: GPUDevice): GPUDevice => {
    devices.push(device);
    const simulated = new Promise<GPUDeviceLostInfo>((resolve) => {
      lost.push(resolve);
      void device.lost.then(resolve);
    });
    return overriding(device, { lost: simulated });
  };
  const adapterOf = (adapter: GPUAdapter): GPUAdapter =>
    overriding(adapter, {
      requestDevice: async (descriptor?: GPUDeviceDescriptor) =>
        deviceOf(await adapter.requestDevice(descriptor)),
    });
  const losable = overriding(gpu, {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await gpu.requestAdapter(options);
      return adapter && adapterOf(adapter);
    },
  });
  const lose = (message: string): void =>
    lost.at(-1)?.({ reason: 'unknown', message, __brand: 'GPUDeviceLostInfo' });
  return { gpu: losable, devices, lose };
}

/** An object with some properties replaced. WebGPU's methods and attributes want the object itself as `this`. */
export function overriding<T extends object>(target: T, properties: object): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(key in properties ? properties : object, key);
      return typeof value === 'function' && !(key in properties) ? value.bind(object) : value;
    },
  });
}
