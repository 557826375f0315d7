/** Kernels that an adapter gets wrong are found and not used. The adapters get wrong what is planted in their shaders. */
import { afterAll, beforeAll, describe, expect, it, vi, type TestContext } from 'vitest';
import type { EngineStats } from '../../src/engine/api.ts';
import type { AdapterRecord } from '../../src/gpu/adapter_record.ts';
import type { Device } from '../../src/gpu/device.ts';
import { openDevice } from '../../src/gpu/open_device.ts';
import { Engine, type LoadOptions } from '../../src/index.ts';
import { selfTest, type SelfTestResult } from '../../src/kernels/self_test.ts';
import { MODEL_TASKS, selfTestCases } from '../../src/kernels/self_test_cases.ts';
import type { Variant } from '../../src/kernels/variants.ts';
import { NoWebGpuError } from '../../src/util/errors.ts';
import { CONFORMANCE, readModelFiles } from '../support/model_files.ts';
import { captureDevices, overriding } from '../support/capture_devices.ts';
import { describeOnGpus } from '../support/on_gpus.ts';
import { plantShaders } from '../support/plant_shaders.ts';
import { tinyModel } from '../support/tiny_model.ts';

/** Shaders by label, and what goes wrong in them: a text, and what the driver makes of it. */
type Plant = readonly [shaders: RegExp, text: string, instead: string];

const SYNTAX_ERROR = 'fn main(none of this is WGSL';

/** Mistakes that spoil every reply, of kernels that decoders use. */
const SPOILING: Readonly<
  Record<
    Exclude<
      Variant,
      'disentangled_tile' | 'matmul_tile_matrix' | 'matmul_few_alone' | 'matmul_few_dot4'
    >,
    Plant
  >
> = {
  matmul_tile: [/^matmul_tile$/, 'var value = SCALE', 'var value = -SCALE'],
  matmul_few: [/^matmul_few$/, 'var value = SCALE', 'var value = -SCALE'],
  matmul_direct: [/^matmul_direct$/, 'var value = SCALE', 'var value = -SCALE'],
  rows_subgroup: [/^matmul_direct$/, 'subgroupShuffle(own, r)', 'own'],
  attention_tiled: [/^attention_tile$/, '1.0 / sum', '9.0 / sum'],
  attention_lanes: [/^attention_lanes$/, '1.0 / state.y', '9.0 / state.y'],
  reduce_subgroup: [/./, 'let part = subgroupMax(value)', 'let part = -value'],
};

/** Mistakes that show only at an edge, or hardly, and the case that finds them. */
const SUBTLE: readonly (readonly [variant: Variant, what: string, name: string, plant: Plant])[] = [
  ['matmul_tile', 'its last columns', 'many rows', [/^matmul_tile$/, 'k4 < K4', 'k4 < K4 - 1u']],
  [
    'matmul_tile',
    'a row at its edge',
    'many rows',
    [/^matmul_tile$/, 'quad_row + 4u, rows', 'quad_row + 4u, rows - 1u'],
  ],
  [
    'matmul_tile',
    'the precision of f16',
    'many rows',
    [/^matmul_tile$/, 'sum;', 'unpack2x16float(pack2x16float(vec2f(sum))).x;'],
  ],
  ['matmul_tile', 'NaN', 'many rows', [/^matmul_tile$/, 'sum;', 'sqrt(-1.0 - abs(sum));']],
  [
    'matmul_tile',
    'a text it does not compile',
    'many rows',
    [/^matmul_tile$/, 'fn main(', SYNTAX_ERROR],
  ],
  ['matmul_few', 'a last output', 'one row', [/^matmul_few$/, 'n < N', 'n < N - 1u']],
  ['matmul_few', 'the last of k', 'one row', [/^matmul_few$/, 'b < ROW_B', 'b + 1u < ROW_B']],
  ['matmul_direct', 'a last output', 'rows, f16', [/^matmul_direct$/, 'n < N', 'n < N - 1u']],
  [
    'matmul_direct',
    'a text it does not compile',
    'rows, f16',
    [/^matmul_direct$/, 'fn main(', SYNTAX_ERROR],
  ],
  ['attention_tiled', 'pieces', 'attention', [/^attention_combine$/, 'sum * old_scale', 'sum']],
  [
    'attention_tiled',
    'a key',
    'attention',
    [/^attention_split$/, 'position < end', 'position + 1u < end'],
  ],
  [
    'attention_tiled',
    'the last dims',
    'attention',
    [/^attention_tile$/, 'd < HEAD_DIM)', 'd < HEAD_DIM - 1u)'],
  ],
  [
    'attention_tiled',
    'a bias',
    'not causal',
    [/^attention_split$/, 'length - 1u, position)', 'position, position)'],
  ],
  [
    'attention_lanes',
    'a key',
    'attention',
    [/^attention_lanes$/, 'base + lane < end;', 'base + lane + 1u < end;'],
  ],
  [
    'attention_lanes',
    'a bias',
    'not causal',
    [/^attention_lanes$/, 'length - 1u, position)', 'position, position)'],
  ],
  [
    'attention_tiled',
    'a key after the query',
    'not causal',
    [/^attention_tile$/, 'position + WINDOW,', 'position + 1u,'],
  ],
  [
    'disentangled_tile',
    'a distance',
    'disentangled',
    [/^disentangled_tile$/, 'KEYS - 1u - j', 'KEYS - 1u - j / 2u'],
  ],
  [
    'disentangled_tile',
    'the last query',
    'disentangled',
    [/^disentangled_tile$/, 'work.y + row <', 'work.y + row + 1u <'],
  ],
  [
    'reduce_subgroup',
    'the last subgroup',
    'rms_norm',
    [/./, 'i < lane.subgroups', 'i + 1u < lane.subgroups'],
  ],
  [
    'reduce_subgroup',
    'the sampler only',
    'sample',
    [/^sample_pick$/, 'subgroupAdd(value)', 'value'],
  ],
];

function planted(gpu: GPU, ...plants: readonly Plant[]): GPU {
  return plantShaders(gpu, (label, code) =>
    plants.reduce(
      (text, [shaders, from, to]) => (shaders.test(label) ? text.replaceAll(from, to) : text),
      code,
    ),
  );
}

function skipUnless(isUsed: boolean, variant: string, context: TestContext): void {
  if (!isUsed) context.skip(`this adapter does not run ${variant}`);
}

describeOnGpus('the self-test', (gpu) => {
  let device: Device;
  let good: SelfTestResult;
  beforeAll(async () => {
    device = await openDevice(gpu());
    good = await run(gpu());
  });
  afterAll(() => device?.dispose());

  const run = (on: GPU, known?: AdapterRecord): Promise<SelfTestResult> =>
    selfTest(
      device.facts,
      () => openDevice(on),
      { weights: ['f16'], kv: 'f16', tasks: MODEL_TASKS },
      known,
    );

  /** As if all cases had passed but for those whose name matches. */
  const allBut = (name: string | RegExp): AdapterRecord => {
    const passed = good.passed.filter((id) => id.search(name) === -1);
    expect(passed.length).toBeLessThan(good.passed.length);
    return { passed, dropped: [] };
  };

  it('finds nothing wrong where nothing is', () => {
    const { hasSubgroups, hasSlowBarriers, isSoftware } = device.facts;
    const gpuLike = ['matmul_few', 'matmul_tile', 'attention_tiled', 'disentangled_tile'];
    const cpu = [
      'matmul_few',
      'matmul_direct',
      'rows_subgroup',
      'attention_lanes',
      'attention_tiled',
      'disentangled_tile',
    ];
    const fast = isSoftware ? cpu : gpuLike;
    const used = [
      ...(hasSlowBarriers ? ['matmul_direct'] : fast),
      ...(hasSubgroups ? ['reduce_subgroup'] : []),
    ];
    expect(good).toMatchObject({ dropped: [], hasRun: true, isComplete: true });
    expect(good.checked.toSorted()).toEqual(used.toSorted());
  });

  it('does not run again what has passed', async () => {
    const refuse = (): Promise<Device> => Promise.reject(new Error('opened'));
    const storage = { weights: ['f16'], kv: 'f16', tasks: MODEL_TASKS } as const;
    const again = await selfTest(device.facts, refuse, storage, good);
    expect(again).toEqual({ ...good, hasRun: false });
  });

  it.for(SUBTLE)(
    'drops %s that is wrong about %s',
    async ([variant, what, name, plant], context) => {
      skipUnless(good.checked.includes(variant), variant, context);
      // Where `attention_lanes` works, it is run in its place.
      const isOfSplit = variant === 'attention_tiled' && plant[0].test('attention_split');
      const isReplaced = isOfSplit && good.checked.includes('attention_lanes');
      skipUnless(!isReplaced, 'attention_split', context);
      const result = await run(planted(gpu(), plant), allBut(name));
      expect(result.dropped.map((dropped) => dropped.variant)).toEqual([variant]);
      const [found] = result.dropped;
      expect(found?.reason).toMatch(/^(matmul, |attention, |disentangled|rms_norm|sample).*: ./);
      if (/NaN|compile/.test(what)) expect(found?.error).toBeNaN();
      else expect(found?.error).toBeGreaterThan(1e-5);
      expect(result.isComplete).toBe(true);
    },
  );

  it('tries what a GPU has for large weights alone', async (context) => {
    skipUnless(!device.facts.hasSlowBarriers, 'kernels with barriers', context);
    const facts = { ...device.facts, isSoftware: false };
    const needs = { weights: ['f16'], kv: 'f16', tasks: MODEL_TASKS } as const;
    const passed = selfTestCases(needs)
      .filter(({ name }) => !name.startsWith('matmul, many rows'))
      .map(({ name, variants }) => `${name}: ${variants(facts).join(', ')}`);
    // A tile of 128 rows, of which the second half is left out.
    const wrong = planted(gpu(), [/^matmul_tile$/, 'HIGH: u32 = 2;', 'HIGH: u32 = 1;']);
    const open = (): Promise<Device> => openDevice(wrong);
    const { dropped } = await selfTest(facts, open, needs, { passed, dropped: [] });
    expect(dropped.map(({ variant }) => variant)).toEqual(['matmul_tile']);
  });

  it('drops all that is wrong, also what would stand in', async () => {
    const used = good.checked.filter((name) => name.startsWith('matmul'));
    const plants = [...new Set([...used, 'matmul_direct'])].map((name): Plant => [
      new RegExp(`^${name}$`),
      'var value = SCALE',
      'var value = -SCALE',
    ]);
    const result = await run(planted(gpu(), ...plants), allBut('matmul_'));
    const found = result.dropped.map(({ variant }) => variant);
    expect(found.toSorted()).toEqual([...new Set([...used, 'matmul_direct'])].toSorted());
  });

  it('finds the kernel that takes the device away', async () => {
    const killer = good.checked.findLast((name) => name.startsWith('matmul'));
    const deadly = plantShaders(gpu(), (label, code, owner) => {
      if (label === killer) owner.destroy();
      return code;
    });
    const result = await run(deadly, allBut('matmul, '));
    expect(result.dropped).toMatchObject([{ variant: killer, error: NaN }]);
    expect(result.isComplete).toBe(true);
  });

  it('blames nobody where the plain kernel fails too', async () => {
    const broken = planted(gpu(), [/^matmul_plain$/, 'fn main(', SYNTAX_ERROR]);
    const known = allBut('matmul, ');
    const result = await run(broken, known);
    expect(result).toMatchObject({ ...known, isComplete: true });
    expect(result.checked.filter((name) => name.startsWith('matmul'))).toEqual([]);
  });

  /** A `GPU` whose devices are not quite what they were. */
  const altered = (alter: (real: GPUDevice) => object): GPU =>
    overriding(gpu(), {
      requestAdapter: async () => {
        const adapter = await gpu().requestAdapter();
        const requestDevice = async (descriptor?: GPUDeviceDescriptor): Promise<unknown> => {
          const real = await adapter?.requestDevice(descriptor);
          return real && overriding(real, alter(real));
        };
        return adapter && overriding(adapter, { requestDevice });
      },
    });

  it('blames nobody where memory is short', async () => {
    let failures = 0;
    const tight = altered((real) => {
      let isFull = false;
      return {
        createShaderModule(descriptor: GPUShaderModuleDescriptor) {
          isFull ||= good.checked.includes(descriptor.label ?? '');
          return real.createShaderModule(descriptor);
        },
        async popErrorScope() {
          const error = await real.popErrorScope();
          if (!isFull) return error;
          failures += 1;
          return { message: 'full' };
        },
      };
    });
    const known = allBut('matmul, many rows');
    expect(await run(tight, known)).toMatchObject({ ...known, isComplete: true });
    expect(failures).toBeGreaterThan(0);
  });

  it('ends its device at once when it is aborted', async () => {
    let isCompiling = false;
    const hanging = altered(() => ({
      createComputePipelineAsync() {
        isCompiling = true;
        return new Promise(() => undefined);
      },
    }));
    const { gpu: capturing, devices } = captureDevices(hanging);
    const controller = new AbortController();
    const open = (): Promise<Device> => openDevice(capturing);
    const storage = { weights: ['f16'], kv: 'f16', tasks: MODEL_TASKS } as const;
    void selfTest(device.facts, open, storage, undefined, controller.signal);
    await vi.waitUntil(() => isCompiling);
    controller.abort();
    await devices[0]?.lost;
    expect(devices).toHaveLength(1);
  });

  it('blames nobody when it is aborted', async () => {
    const controller = new AbortController();
    const aborting = plantShaders(gpu(), (label, code) => {
      if (good.checked.includes(label)) controller.abort();
      return code;
    });
    const { gpu: capturing, devices } = captureDevices(aborting);
    const known = allBut('matmul, many rows');
    const open = (): Promise<Device> => openDevice(capturing);
    const storage = { weights: ['f16'], kv: 'f16', tasks: MODEL_TASKS } as const;
    const result = await selfTest(device.facts, open, storage, known, controller.signal);
    expect(result).toMatchObject({ ...known, isComplete: false });
    expect(devices).toHaveLength(1);
  });

  it('is incomplete where there is no second device', async () => {
    const refuse = (): Promise<Device> => Promise.reject(new NoWebGpuError('no more'));
    const storage = { weights: ['f32'], kv: 'f32', tasks: MODEL_TASKS } as const;
    const result = await selfTest(device.facts, refuse, storage);
    expect(result).toEqual({
      passed: [],
      dropped: [],
      checked: [],
      hasRun: true,
      isComplete: false,
    });
  });

  describe('at load', () => {
    const F16 = readModelFiles(`${CONFORMANCE}/llama-f16-sharded`);
    const load = (options: LoadOptions): Promise<Engine> =>
      Engine.load(tinyModel({ 'model.safetensors': undefined, ...F16 }), {
        gpu: gpu(),
        contextLength: 128,
        ...options,
      });
    /** What an engine says of its kernels, and replies to prompts that need all of them. */
    const use = async (
      options: LoadOptions,
    ): Promise<{ readonly text: string | undefined; readonly report: EngineStats['selfTest'] }> => {
      const engine = await load(options);
      const params = { prompt: 'abcdefghijklmnopqrstuvwxyz', max_tokens: 20, temperature: 0 };
      const { choices } = await engine.completions.create(params);
      const { selfTest: report } = await engine.stats();
      await engine.dispose();
      return { text: choices[0]?.text, report };
    };

    let usual: Awaited<ReturnType<typeof use>>;
    beforeAll(async () => {
      usual = await use({ selfTest: 'always' });
    });

    it('passes, takes no time the next time, and can be left out', async () => {
      const { text, report } = usual;
      expect(report).toMatchObject({ status: 'passed', dropped: [] });
      // Only what the model uses.
      const used = good.checked.filter((name) => name !== 'disentangled_tile');
      expect(report.checked.toSorted()).toEqual(used.toSorted());
      expect(report.elapsedMs).toBeGreaterThan(0);

      const remembered = await use({});
      expect(remembered).toEqual({ text, report: { ...report, elapsedMs: 0 } });
      const without = await use({ selfTest: 'never' });
      const nothing = { status: 'skipped', checked: [], dropped: [], elapsedMs: 0 };
      expect(without).toEqual({ text, report: nothing });
    });

    it.for(Object.entries(SPOILING))(
      'does without a wrong %s, also the next time',
      async ([variant, plant], context) => {
        skipUnless(usual.report.checked.includes(variant), variant, context);
        const wrong = planted(gpu(), plant);
        const untested = await use({ gpu: wrong, selfTest: 'never' });
        expect(untested.text).not.toBe(usual.text);

        const { text, report } = await use({ gpu: wrong, selfTest: 'always' });
        expect(report).toMatchObject({ status: 'failed', dropped: [{ variant }] });
        expect(report.checked).toContain(variant);
        expect(text).toBe(usual.text);
        const remembered = await use({ gpu: wrong });
        expect(remembered).toEqual({ text, report: { ...report, elapsedMs: 0 } });
      },
    );

    it('is said to be skipped where it gets no device', async () => {
      let opened = 0;
      const wrapped = plantShaders(gpu(), (_, code) => code);
      const single = new Proxy(wrapped, {
        get: (target, key) =>
          key === 'requestAdapter'
            ? async (options?: GPURequestAdapterOptions) => {
                opened += 1;
                return opened === 1 ? target.requestAdapter(options) : null;
              }
            : Reflect.get(target, key),
      });
      const { text, report } = await use({ gpu: single, selfTest: 'always' });
      expect(report).toMatchObject({ status: 'skipped', checked: [], dropped: [] });
      expect(text).toBe(usual.text);
    });
  });
});
