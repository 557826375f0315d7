import { Device } from '../gpu/device.ts';
import type { DeviceFacts } from '../gpu/facts.ts';

/**
 * A device on which a model can be set up and run as on any other, but nothing is allocated or computed, and no result
 * ever comes back: its ledger then says what the model would take, by the engine's own account.
 *
 * @param facts - those of the device to plan for; its limits are kept to
 * @param onSubmit - told when commands are submitted
 */
export function paperDevice(facts: DeviceFacts, onSubmit: () => void = () => undefined): Device {
  const nothing = (): object => ({});
  const never = (): Promise<never> => new Promise(() => {});
  const pass = {
    setPipeline: nothing,
    setBindGroup: nothing,
    dispatchWorkgroups: nothing,
    end: nothing,
  };
  const encoder = { beginComputePass: () => pass, copyBufferToBuffer: nothing, finish: nothing };
  const gpu = {
    lost: never(),
    queue: { writeBuffer: nothing, submit: onSubmit, onSubmittedWorkDone: never },
    addEventListener: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBuffer: ({ size }: GPUBufferDescriptor) => ({ size, destroy: nothing, mapAsync: never }),
    createBindGroupLayout: nothing,
    createBindGroup: nothing,
    createPipelineLayout: nothing,
    createShaderModule: nothing,
    createComputePipelineAsync: async () => ({}),
    createCommandEncoder: () => encoder,
    destroy: nothing,
  };
  // Only what a model's first step calls is there; anything else fails at once, in this program's own tests.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return new Device(gpu as unknown as GPUDevice, facts);
}
