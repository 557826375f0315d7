/** Loading where WebGPU is missing, too small, lost or refusing, and loading that is cancelled. */
import { describe, expect, it } from 'vitest';
import type { LoadProgress } from '../../../src/engine/api.ts';
import { Engine, type LoadOptions } from '../../../src/index.ts';
import { DeviceLimitError, DeviceLostError, NoWebGpuError } from '../../../src/util/errors.ts';
import type { ModelSource } from '../../../src/weights/source.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

async function load(options: LoadOptions, source: ModelSource = tinyModel()): Promise<Engine> {
  return Engine.load(source, { contextLength: 64, ...options });
}

async function expectGood(gpu: GPU): Promise<void> {
  const engine = await load({ gpu });
  const { choices } = await engine.completions.create({ prompt: 'a', max_tokens: 2 });
  expect(choices[0]?.text).toHaveLength(2);
  await engine.dispose();
}

async function failureOf(loading: Promise<Engine>): Promise<unknown> {
  return loading.then(
    () => 'none',
    (error: unknown) => error,
  );
}

/** Parts of WebGPU, made up. */
function fakeGpu(requestAdapter: () => Promise<unknown>): GPU {
  return { requestAdapter, wgslLanguageFeatures: new Set() } as unknown as GPU;
}

describe('without a GPU', () => {
  it('says that WebGPU is missing', async () => {
    await expect(load({})).rejects.toThrow(NoWebGpuError);
    await expect(load({})).rejects.toThrow(/^WebGPU: navigator\.gpu is missing; use a browser/);
  });

  it('says that there is no adapter', async () => {
    const gpu = fakeGpu(async () => null);
    await expect(load({ gpu })).rejects.toThrow(NoWebGpuError);
    await expect(load({ gpu })).rejects.toThrow(/^WebGPU: .*no adapter; turn on/);
  });

  it('says that the adapter gives no device', async () => {
    const adapter = {
      limits: { maxStorageBuffersPerShaderStage: 8 },
      features: new Set(),
      info: {},
      requestDevice: () => Promise.reject(new DOMException('out of devices', 'OperationError')),
    };
    const error = await failureOf(load({ gpu: fakeGpu(async () => adapter) }));
    expect(error).toBeInstanceOf(NoWebGpuError);
    expect(error).toMatchObject({ message: expect.stringMatching(/device: .*out of devices/) });
  });
});

describeOnGpus(
  'loading',
  (gpu) => {
    it.each([
      ['maxStorageBuffersPerShaderStage', 4, 8],
      ['maxComputeInvocationsPerWorkgroup', 128, 256],
      ['maxComputeWorkgroupStorageSize', 8192, 16384],
    ])('says that %s of %i is too small', async (limit, available, needed) => {
      const { gpu: small, devices } = captureDevices(gpu(), { [limit]: available });
      const error = await failureOf(load({ gpu: small }));
      expect(error).toBeInstanceOf(DeviceLimitError);
      expect(error).toMatchObject({ limit, available, needed });
      expect(devices).toEqual([]);
      await expectGood(gpu());
    });

    it('ends with the error of a device that is lost meanwhile', async () => {
      for (const phase of ['weights', 'compile']) {
        const { gpu: capturing, devices } = captureDevices(gpu());
        const onProgress = (progress: LoadProgress): void => {
          if (progress.phase === phase) devices[0]?.destroy();
        };
        await expect(load({ gpu: capturing, onProgress })).rejects.toThrow(DeviceLostError);
      }
      await expectGood(gpu());
    });

    it('is aborted at any moment, and leaves no device behind', async () => {
      const moments: LoadProgress[] = [];
      await (await load({ gpu: gpu(), onProgress: (at) => moments.push(at) })).dispose();
      const phases = moments.map(({ phase }) => phase);
      expect([...new Set(phases)]).toEqual(['files', 'weights', 'compile', 'ready']);
      expect(moments.filter(({ phase }) => phase === 'weights').at(-1)).toMatchObject({
        file: 'model.safetensors',
        loadedBytes: moments.find(({ phase }) => phase === 'weights')?.totalBytes,
      });

      // The last one says that all is done.
      for (const moment of phases.slice(0, -1).keys()) {
        const controller = new AbortController();
        const { gpu: capturing, devices } = captureDevices(gpu());
        let seen = 0;
        const onProgress = (): void => {
          if (seen === moment) controller.abort(new Error(`at moment ${moment}`));
          seen += 1;
        };
        const { signal } = controller;
        const error = await failureOf(load({ gpu: capturing, onProgress, signal }));
        expect(signal.aborted).toBe(true);
        expect(error).toBe(signal.reason);
        await Promise.all(devices.map(({ lost }) => lost));
      }
    });

    it.each(['config.json', 'model.safetensors', 'tokenizer.json'])(
      'is aborted while it opens %s',
      async (file) => {
        const controller = new AbortController();
        const source = tinyModel();
        const aborting: ModelSource = {
          name: source.name,
          open(path, signal) {
            if (path === file) controller.abort();
            return source.open(path, signal);
          },
        };
        const { gpu: capturing, devices } = captureDevices(gpu());
        const { signal } = controller;
        const error = await failureOf(load({ gpu: capturing, signal }, aborting));
        expect(signal.aborted).toBe(true);
        expect(error).toBe(signal.reason);
        await Promise.all(devices.map(({ lost }) => lost));
      },
    );

    it('does not begin where it is aborted already', async () => {
      const reason = new Error('never mind');
      const { gpu: capturing, devices } = captureDevices(gpu());
      const signal = AbortSignal.abort(reason);
      await expect(load({ gpu: capturing, signal })).rejects.toBe(reason);
      expect(devices).toEqual([]);
      await expectGood(gpu());
    });
  },
  ONE_ADAPTER,
);
