import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { openDevice } from '../../src/gpu/open_device.ts';
import { specialize } from '../../src/gpu/shader.ts';
import { SHADER_LIBRARY } from '../../src/gpu/shader_library.ts';
import { openGpu } from '../../src/node/gpu.ts';
import { CollectingRecorder, EVERY_OP } from '../support/every_op.ts';
import { readShaders } from '../support/shader_files.ts';

/**
 * Dawn's null backend compiles and validates without a GPU. A device at the default limits refuses pipelines with
 * more than 16 KiB of workgroup memory, 256 threads or 8 storage buffers.
 */
const DEVICES = [
  { label: 'with f16 and subgroups', without: [] },
  { label: 'without subgroups', without: ['subgroups'] },
  { label: 'without f16', without: ['shader-f16'] },
  { label: 'with neither', without: ['shader-f16', 'subgroups'] },
] as const;

/** For subgroup matrices, which the null backend compiles. */
const UNSAFE = { enable: ['allow_unsafe_apis'] };

const FILES = readShaders();

describe.each(DEVICES)('a device $label', ({ without }) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice(await openGpu('null', UNSAFE), {
      without,
      defaultLimits: true,
      integerProducts: true,
    });
  });
  afterAll(() => device.dispose());

  it('is what it says', () => {
    const withheld: readonly string[] = without;
    expect(device.facts.hasF16).toBe(!withheld.includes('shader-f16'));
    expect(device.facts.hasSubgroups).toBe(!withheld.includes('subgroups'));
    expect(device.gpu.limits).toMatchObject({
      maxComputeWorkgroupStorageSize: 16_384,
      maxComputeInvocationsPerWorkgroup: 256,
      maxStorageBuffersPerShaderStage: 8,
    });
  });

  it.for(Object.entries(FILES))('compiles %s.wgsl with its defaults', async ([name, source], t) => {
    const { gpu } = device;
    if (/^\/\/!enable .*subgroup/m.test(source) && !device.facts.hasSubgroups) {
      t.skip('it is for devices with subgroups alone');
    }
    const code = specialize(name, source, {}, SHADER_LIBRARY);
    const module = gpu.createShaderModule({ label: name, code });
    const { messages } = await module.getCompilationInfo();
    expect(messages.map(({ lineNum, message }) => `${name}:${lineNum}: ${message}`)).toEqual([]);
    await gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  });

  describe.each([
    { barriers: 'fast', hasSlowBarriers: false },
    { barriers: 'slow', hasSlowBarriers: true },
  ])('and $barriers barriers', ({ hasSlowBarriers }) => {
    let view: Device;
    beforeAll(() => {
      view = new Device(device.gpu, { ...device.facts, hasSlowBarriers });
    });

    it.each(Object.entries(EVERY_OP))('compiles what %s asks for', async (_, record) => {
      const recorder = new CollectingRecorder(view);
      record(recorder);
      await recorder.finish();
      await view.settled();
      expect(recorder.kernels).not.toEqual([]);
    });
  });
});

it('leaves no shader file out', async () => {
  const device = await openDevice(await openGpu('null', UNSAFE), { integerProducts: true });
  const recorder = new CollectingRecorder(device);
  for (const record of Object.values(EVERY_OP)) record(recorder);
  const asked = new Set(recorder.kernels.map(({ name }) => name));
  expect([...asked].toSorted()).toEqual(Object.keys(FILES).toSorted());
  const library = Object.keys(readShaders('lib')).map((name) => `lib/${name}.wgsl`);
  expect(Object.keys(SHADER_LIBRARY).toSorted()).toEqual(library.toSorted());
  device.dispose();
});
