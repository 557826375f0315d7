import { expect, it } from 'vitest';
import { callsPer, countCalls } from '../../../src/bench/count_calls.ts';

/** Methods look at `this`, as native ones do. */
class FakeDevice {
  readonly log: string[] = [];
  readonly queue = { submitted: 0, submit: (buffers: unknown[]) => void buffers };
  createBuffer(): object {
    this.log.push('buffer');
    return { mapAsync: async () => undefined };
  }
  createBindGroup(): object {
    this.log.push('bind group');
    return {};
  }
  createShaderModule(): object {
    return {};
  }
  async createComputePipelineAsync(): Promise<object> {
    return { label: 'pipeline' };
  }
  createCommandEncoder(): object {
    return {
      beginComputePass: () => ({ dispatchWorkgroups() {}, dispatchWorkgroupsIndirect() {} }),
    };
  }
}

class FakeGpu {
  readonly #features = new Set(['subgroup_id']);
  readonly device = new FakeDevice();
  get wgslLanguageFeatures(): ReadonlySet<string> {
    return this.#features;
  }
  getPreferredCanvasFormat(): string {
    return this.#features.size === 1 ? 'rgba8unorm' : 'none';
  }
  async requestAdapter(): Promise<object | null> {
    return { requestDevice: async () => this.device };
  }
}

it('counts the calls of a step, and changes none of them', async () => {
  const fake = new FakeGpu();
  const { gpu, calls } = countCalls(fake as unknown as GPU);
  expect(gpu.wgslLanguageFeatures.has('subgroup_id')).toBe(true);
  expect(gpu.getPreferredCanvasFormat()).toBe('rgba8unorm');

  const adapter = await gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  if (device === undefined) throw new Error('no device');
  expect(device).toBe(fake.device);
  const before = { ...calls };

  for (let step = 0; step < 2; step += 1) {
    const pass = device.createCommandEncoder().beginComputePass();
    for (let i = 0; i < 5; i += 1) pass.dispatchWorkgroups(1);
    device.queue.submit([{} as GPUCommandBuffer]);
    // No work: only a browser is made to look for what is done.
    device.queue.submit([]);
  }
  const buffer = device.createBuffer({ size: 4, usage: 0 });
  await buffer.mapAsync(1);
  device.createBindGroup({ layout: {} as GPUBindGroupLayout, entries: [] });
  device.createShaderModule({ code: '' });
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: {} as GPUShaderModule },
  });
  expect(pipeline.label).toBe('pipeline');
  expect(fake.device.log).toEqual(['buffer', 'bind group']);

  expect(callsPer(before, calls, 2)).toEqual({
    dispatches: 5,
    passes: 1,
    submits: 1,
    readbacks: 0.5,
    buffers: 0.5,
    bindGroups: 0.5,
    pipelines: 0.5,
    shaderModules: 0.5,
  });
});
