import { overriding } from './capture_devices.ts';

/**
 * A `GPU` whose devices compile something else than they are given, as a driver with a bug does.
 *
 * @param gpu - the one to wrap; it is left as it is
 * @param change - makes what is compiled of a shader's label and code; may also do something to the device
 */
export function plantShaders(
  gpu: GPU,
  change: (label: string, code: string, device: GPUDevice) => string,
): GPU {
  const deviceOf = (device: GPUDevice): GPUDevice =>
    overriding(device, {
      createShaderModule(descriptor: GPUShaderModuleDescriptor): GPUShaderModule {
        const code = change(descriptor.label ?? '', descriptor.code, device);
        return device.createShaderModule({ ...descriptor, code });
      },
    });
  const adapterOf = (adapter: GPUAdapter): GPUAdapter =>
    overriding(adapter, {
      requestDevice: async (descriptor?: GPUDeviceDescriptor) =>
        deviceOf(await adapter.requestDevice(descriptor)),
    });
  return overriding(gpu, {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await gpu.requestAdapter(options);
      return adapter && adapterOf(adapter);
    },
  });
}
