import { afterEach, describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { openDevice, type OpenDeviceOptions } from '../../src/gpu/open_device.ts';
import { readBuffer, ReadbackRing } from '../../src/gpu/readback.ts';
import { StateBuffer } from '../../src/gpu/state_buffer.ts';
import { createKvLayer } from '../../src/kernels/kv_cache.ts';
import { openGpu } from '../../src/node/gpu.ts';
import {
  DeviceLimitError,
  DeviceLostError,
  GpuValidationError,
  NoWebGpuError,
  OutOfMemoryError,
} from '../../src/util/errors.ts';
import { describeOnGpus } from '../support/on_gpus.ts';

const opened: Device[] = [];
afterEach(() => {
  for (const device of opened.splice(0)) device.dispose();
});

async function open(gpu: GPU, options?: OpenDeviceOptions): Promise<Device> {
  const device = await openDevice(gpu, options);
  opened.push(device);
  return device;
}

/** Whether a promise is still open after the GPU has had time to report what it has to say. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => {
    setTimeout(() => resolve('later'), 50);
  });
  return (await Promise.race([promise, later])) === 'later';
}

/** Asks for something that WebGPU forbids. */
function misuse({ gpu }: Device): void {
  const buffer = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, buffer, 8, 8);
  gpu.queue.submit([encoder.finish()]);
}

describeOnGpus('a device', (gpu) => {
  it('reports the first command that the GPU refused', async () => {
    const device = await open(gpu());
    expect(device.failure).toBeUndefined();
    expect(await isPending(device.failed)).toBe(true);
    misuse(device);
    const failure = await device.failed;
    expect(failure).toBeInstanceOf(GpuValidationError);
    expect(failure.message).toMatch(/^device: /);
    expect(failure.cause).toBeInstanceOf(GPUValidationError);
    misuse(device);
    await device.gpu.queue.onSubmittedWorkDone();
    expect(device.failure).toBe(failure);
    expect(() => device.throwIfFailed()).toThrow(failure);
    await expect(device.settled()).rejects.toBe(failure);
  });

  it('reports that it was lost', async () => {
    const device = await open(gpu());
    const buffer = device.createBuffer('state', 'source', 64);
    const ring = new ReadbackRing(device, 1, 64);
    const encoder = device.gpu.createCommandEncoder();
    const read = ring.copy(encoder, { buffer, offset: 0, size: 64 });
    device.gpu.queue.submit([encoder.finish()]);
    const reading = read((bytes) => bytes.byteLength);
    device.gpu.destroy();
    const failure = await device.failed;
    expect(failure).toBeInstanceOf(DeviceLostError);
    expect(failure.message).toMatch(/^device: lost \(destroyed.*load the model again$/);
    // What was under way has arrived or is lost, too; what is asked for now is lost.
    const outcome: unknown = await reading.catch((error: unknown) => error);
    expect(outcome === 64 || outcome instanceof Error).toBe(true);
    device.createBuffer('state', 'after', 64);
    await expect(device.settled()).rejects.toBe(failure);
    await expect(readBuffer(device, { buffer })).rejects.toBe(failure);
  });

  it('does not fail when it is disposed, and has no memory then', async () => {
    const device = await open(gpu());
    const { failed, memory } = device;
    const buffer = device.createBuffer('weights', 'w', 1000);
    device.createTensor('kv', 'k', 'f16', [3, 3]);
    expect(memory.report()).toMatchObject({ weights: 1008, kv: 32, total: 1040 });
    device.dispose();
    expect(memory.report().total).toBe(0);
    device.destroyBuffer(buffer);
    expect(memory.report().total).toBe(0);
    await device.gpu.lost;
    expect(await isPending(failed)).toBe(true);
    expect(device.failure).toBeUndefined();
  });

  it('counts memory until it is freed, once', async () => {
    const device = await open(gpu());
    const buffer = device.createBuffer('weights', 'w', 1);
    const state = new StateBuffer(device, { ids: { dtype: 'u32', shape: [3] } });
    const ring = new ReadbackRing(device, 2, 100);
    await device.settled();
    expect(device.memory.report()).toEqual({
      weights: 16,
      kv: 0,
      scratch: 0,
      state: 256,
      readback: 224,
      total: 496,
    });
    for (const free of [() => device.destroyBuffer(buffer), () => state.dispose()]) {
      free();
      free();
    }
    ring.dispose();
    expect(device.memory.report().total).toBe(0);
  });

  it('refuses what its limits do not allow', async () => {
    const device = await open(gpu());
    const { maxBufferSize, maxStorageBufferBindingSize } = device.facts.limits;
    expect(() => device.createBuffer('kv', 'pages', maxBufferSize + 1)).toThrow(DeviceLimitError);
    expect(() => device.createBuffer('kv', 'pages', maxBufferSize + 1)).toThrow(
      new RegExp(`^device: maxBufferSize is ${maxBufferSize}, needed \\d+; pages does not fit`),
    );
    const words = maxStorageBufferBindingSize / 4;
    expect(() => device.createTensor('kv', 'keys', 'f32', [words + 1])).toThrow(
      `device: maxStorageBufferBindingSize is ${maxStorageBufferBindingSize}, needed ${4 * words + 4}; keys does not fit`,
    );
    const shape = { kvHeads: 8, headDim: 128, pageSize: 16, dtype: 'f32' } as const;
    expect(() => createKvLayer(device, words, shape)).toThrow(DeviceLimitError);
    expect(device.memory.report().total).toBe(0);
  });

  it('goes without what is withheld', async () => {
    const device = await open(gpu(), {
      without: ['shader-f16', 'subgroups', 'timestamp-query'],
      defaultLimits: true,
    });
    const { hasF16, hasSubgroups, hasTimestamps, limits } = device.facts;
    expect({ hasF16, hasSubgroups, hasTimestamps }).toEqual({
      hasF16: false,
      hasSubgroups: false,
      hasTimestamps: false,
    });
    expect(limits).toMatchObject({ maxStorageBufferBindingSize: 2 ** 27, maxBufferSize: 2 ** 28 });
  });

  it('multiplies integers, which rounds, only where that is asked for', async () => {
    const has = gpu().wgslLanguageFeatures.has('packed_4x8_integer_dot_product');
    expect((await open(gpu())).facts.hasDot4).toBe(false);
    expect((await open(gpu(), { integerProducts: true })).facts.hasDot4).toBe(has);
  });
});

describe('a device without memory left', () => {
  it('says so when the allocations settle, and goes on', async () => {
    // Dawn's null backend has half a gigabyte.
    const device = await open(await openGpu('null'));
    const size = device.facts.limits.maxBufferSize;
    const buffers = Array.from({ length: 4 }, () => device.createBuffer('weights', 'layer', size));
    const settled = device.settled();
    await expect(settled).rejects.toThrow(OutOfMemoryError);
    await expect(settled).rejects.toThrow(
      `device: no GPU memory for layer (${size} bytes); choose a smaller model`,
    );
    for (const buffer of buffers) device.destroyBuffer(buffer);
    device.createBuffer('weights', 'layer', size);
    await device.settled();
    expect(device.failure).toBeUndefined();
    expect(device.memory.report().total).toBe(size);
  });
});

/** WebGPU whose adapters differ from those of `gpu` in some attributes. */
function altered(gpu: GPU, changes: Readonly<Record<string, unknown>> | null): GPU {
  const requestAdapter = async (): Promise<GPUAdapter | null> => {
    const adapter = await gpu.requestAdapter();
    if (adapter === null || changes === null) return null;
    const { features, info } = adapter;
    return { features, info, limits: adapter.limits, ...changes } as unknown as GPUAdapter;
  };
  return { requestAdapter, wgslLanguageFeatures: gpu.wgslLanguageFeatures } as unknown as GPU;
}

describe('openDevice', () => {
  it('says that there is no WebGPU', async () => {
    const opening = openDevice(undefined);
    await expect(opening).rejects.toThrow(NoWebGpuError);
    await expect(opening).rejects.toThrow('WebGPU: navigator.gpu is missing; use a browser');
  });

  it('says that there is no adapter', async () => {
    const opening = openDevice(altered(await openGpu('null'), null));
    await expect(opening).rejects.toThrow(NoWebGpuError);
    await expect(opening).rejects.toThrow('WebGPU: the browser offers no adapter');
  });

  it.each([
    ['maxStorageBuffersPerShaderStage', 4, 8],
    ['maxComputeWorkgroupStorageSize', 8192, 16_384],
    ['maxComputeInvocationsPerWorkgroup', 128, 256],
    ['maxComputeWorkgroupSizeX', 128, 256],
  ])('names a limit that is too small: %s', async (name, available, needed) => {
    const gpu = await openGpu('null');
    const limits = (await gpu.requestAdapter())?.limits;
    const fewer = new Proxy(limits ?? {}, {
      get: (target, key) =>
        key === name ? available : (Reflect.get(target, key, target) as unknown),
    });
    const opening = openDevice(altered(gpu, { limits: fewer }));
    await expect(opening).rejects.toThrow(DeviceLimitError);
    await expect(opening).rejects.toMatchObject({ limit: name, available, needed });
  });

  it('does without the description that older browsers do not give', async () => {
    const gpu = await openGpu('null');
    const adapter = await gpu.requestAdapter();
    const requestDevice = (descriptor?: GPUDeviceDescriptor) => adapter?.requestDevice(descriptor);
    const device = await open(altered(gpu, { info: undefined, requestDevice }));
    expect(device.facts).toMatchObject({ vendor: '', description: '', isSoftware: false });
  });

  it('leaves no device behind when its facts cannot be read', async () => {
    const gpu = await openGpu('null');
    const adapter = await gpu.requestAdapter();
    const devices: GPUDevice[] = [];
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter?.requestDevice(descriptor);
      if (device !== undefined) devices.push(device);
      return device;
    };
    // Chrome before 115 has no list of language features.
    const older = {
      requestAdapter: () => altered(gpu, { requestDevice }).requestAdapter(),
    } as unknown as GPU;
    await expect(openDevice(older)).rejects.toThrow(NoWebGpuError);
    expect(devices).toHaveLength(1);
    await Promise.all(devices.map(({ lost }) => lost));
  });

  it('says why an adapter gives no device', async () => {
    const requestDevice = () => Promise.reject(new DOMException('used already', 'OperationError'));
    const opening = openDevice(altered(await openGpu('null'), { requestDevice }));
    await expect(opening).rejects.toThrow(NoWebGpuError);
    await expect(opening).rejects.toThrow('WebGPU: the adapter gives no device: used already');
  });
});
