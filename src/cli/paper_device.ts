import { Device, type DeviceFacts } from '../gpu/device.ts';

/**
 * A device on which the engine can be set up as on any other, but nothing is allocated or computed: its ledger then
 * says what the engine would take, by the engine's own account.
 *
 * @param facts - those of the device to plan for; its limits are kept to
 */
export function paperDevice(facts: DeviceFacts): Device {
  const nothing = (): object => ({});
  const gpu = {
    lost: new Promise(() => {}),
    addEventListener: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBuffer: ({ size }: GPUBufferDescriptor) => ({ size, destroy: nothing }),
    createBindGroupLayout: nothing,
    createBindGroup: nothing,
    createPipelineLayout: nothing,
    createShaderModule: nothing,
    createComputePipelineAsync: async () => ({}),
    destroy: nothing,
  };
  // Only what setting up an engine calls is there; anything else fails at once, in this program's own tests.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return new Device(gpu as unknown as GPUDevice, facts);
}
