import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { benchKernel } from '../../src/bench/kernel_bench.ts';
import { kernelCases } from '../../src/bench/kernel_cases.ts';
import { openSubject, type BenchTarget } from '../../src/bench/open_model.ts';
import { parseTest } from '../../src/bench/bench_tests.ts';
import { profileRecording } from '../../src/bench/profile.ts';
import type { BenchReport } from '../../src/bench/report.ts';
import { runBench, type BenchOptions } from '../../src/bench/run_bench.ts';
import type { Device } from '../../src/gpu/device.ts';
import { openDevice } from '../../src/gpu/open_device.ts';
import { readBuffer } from '../../src/gpu/readback.ts';
import type { DeviceTensor } from '../../src/gpu/tensor.ts';
import type { WeightForm } from '../../src/kernels/matrix.ts';
import { ConfigReader } from '../../src/models/config.ts';
import { OutOfMemoryError, RequestError } from '../../src/util/errors.ts';
import { SyntheticWeights } from '../../src/weights/synthetic.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';

const CLOCK = { now: (): number => performance.now() };
/** As little as can be compiled. */
const QUICK = { selfTest: 'never', tune: 'never', tokenBudget: 8 } as const;
/** Of all models below, so that they have the same kernels. */
const TESTS = ['pp16', 'tg16', 'tg8@d500', 'tg8x3'];
const LLAMA = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 5,
  num_key_value_heads: 1,
  head_dim: 16,
  vocab_size: 515,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};
const BERT = {
  model_type: 'bert',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 301,
  max_position_embeddings: 48,
};
const T5 = {
  model_type: 't5',
  d_model: 64,
  d_ff: 96,
  d_kv: 16,
  num_heads: 4,
  num_layers: 2,
  vocab_size: 259,
  decoder_start_token_id: 0,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
};

function made(config: Readonly<Record<string, unknown>>, form: WeightForm): BenchTarget {
  return { kind: 'shape', name: 'tiny', config: new ConfigReader(config), form };
}

// What is measured is the same on every adapter, if not how fast it is: one is enough.
const [adapter = 'default'] = TEST_ADAPTERS;
let opened: GPU | string;
beforeAll(async () => {
  opened = await openTestGpu(adapter);
});

function gpuOf(context: TestContext): GPU {
  return typeof opened === 'string' ? context.skip(opened) : opened;
}

async function bytesOf(device: Device, tensor: DeviceTensor | undefined): Promise<ArrayBuffer> {
  if (tensor?.memory.kind !== 'buffer') throw new Error('no memory');
  const { buffer, offset } = tensor.memory;
  return readBuffer(device, { buffer, offset, size: tensor.sizeBytes });
}

/** `toEqual` takes minutes to tell how large buffers differ. */
function isSame(a: ArrayBuffer | undefined, b: ArrayBuffer | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b));
}

/** Mean and standard deviation. */
function momentsOf(values: Float32Array | Int8Array): readonly [number, number] {
  const mean = [...values].reduce((sum, value) => sum + value, 0) / values.length;
  const squares = [...values].reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / values.length)];
}

describe('a model with made-up weights', () => {
  async function logitsOf(gpu: GPU, form: WeightForm): Promise<Float32Array> {
    const target = made(LLAMA, form);
    const { subject } = await openSubject(target, 'decoder', TESTS.map(parseTest), {
      gpu,
      ...QUICK,
    });
    if (subject.kind === 'encoder') throw new Error('expected a decoder');
    const { generator, files } = subject;
    try {
      expect(files).toMatchObject({ isMadeUp: true, modelType: 'llama' });
      expect(files.parameters).toBe(
        2 * 515 * 64 + 3 * (64 * 112 + 80 * 64 + 3 * 64 * 96 + 2 * 64) + 64,
      );
      const kept = await generator.runner.inspect([1, 500, 77, 3, 3]);
      const { buffer, offset = 0 } = kept.get('logits') ?? { buffer: undefined };
      if (buffer === undefined) throw new Error('no logits');
      const size = 5 * 515 * 4;
      return new Float32Array(await readBuffer(generator.device, { buffer, offset, size }));
    } finally {
      await generator.dispose();
    }
  }

  it('is alive', async (context) => {
    const logits = await logitsOf(gpuOf(context), 'q4');
    expect(logits.every(Number.isFinite)).toBe(true);
    const [, deviation] = momentsOf(logits);
    // A row of 64 elements of deviation 0.02 times a normalized vector: 0.16.
    expect(deviation).toBeGreaterThan(0.1);
    expect(deviation).toBeLessThan(0.25);
  });

  it('has the same weights each time, spread as they should be', async (context) => {
    const device = await openDevice(gpuOf(context));
    const fill = async (): Promise<readonly ArrayBuffer[]> => {
      const memory = new SyntheticWeights(device, { form: 'q8' });
      const [first, second] = [1, 2].map((i) => memory.random(`x ${i}`, 'f32', [300, 100]));
      const [shard] = memory.matrix([{ name: 'weight', rows: 50 }], 320).shards;
      const norm = memory.vector([{ name: 'norm.weight', rows: 64 }]);
      const bias = memory.vector([{ name: 'bias', rows: 64 }]);
      await memory.fill();
      const all = [first, second, norm, bias, shard?.tensor, shard?.scales];
      const bytes = await Promise.all(all.map((tensor) => bytesOf(device, tensor)));
      memory.dispose();
      return bytes;
    };
    const bytes = await fill();
    const again = await fill();
    expect(again.map((part, i) => isSame(part, bytes[i]))).toEqual(bytes.map(() => true));
    const [first, second, norm, bias, integers] = bytes;
    expect(isSame(first, second)).toBe(false);
    expect(momentsOf(new Float32Array(first ?? []))).toEqual([
      expect.closeTo(0, 3),
      expect.closeTo(0.02, 3),
    ]);
    expect(momentsOf(new Float32Array(norm ?? []))).toEqual([
      expect.closeTo(1, 2),
      expect.closeTo(0.02, 2),
    ]);
    expect(momentsOf(new Float32Array(bias ?? []))).toEqual([
      expect.closeTo(0, 2),
      expect.closeTo(0.02, 2),
    ]);
    expect(momentsOf(new Int8Array(integers ?? []))).toEqual([
      expect.closeTo(-0.5, -1),
      expect.closeTo(73.9, -1),
    ]);
    device.dispose();
  });

  it('says how much memory it would take', async (context) => {
    const device = {
      ...LLAMA,
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_hidden_layers: 32,
    };
    const options = { gpu: gpuOf(context), availableBytes: 2 ** 20, ...QUICK };
    const opening = openSubject(made(device, 'f16'), 'decoder', TESTS.map(parseTest), options);
    await expect(opening).rejects.toThrow(OutOfMemoryError);
    await expect(opening).rejects.toThrow(/the weights of tiny in f16 take 1\d\.\d GiB/);
  });
});

describe('runBench', () => {
  const run = (
    gpu: GPU,
    target: BenchTarget,
    tests: readonly string[],
    more: Partial<BenchOptions> = {},
  ): Promise<BenchReport> =>
    runBench(target, {
      gpu,
      clock: CLOCK,
      tests,
      repetitions: 2,
      ...QUICK,
      measuresPeaks: false,
      ...more,
    });

  it('measures a decoder, as far as its context goes', async (context) => {
    // What is the same when cut is measured once.
    const report = await run(gpuOf(context), made(LLAMA, 'q4'), [...TESTS, 'tg8@d55']);
    expect(report.results.map(({ test }) => test)).toEqual(['pp16', 'tg16', 'tg8@d55', 'tg8x3']);
    expect(report.notes).toEqual(['tg8@d500 does not fit in the context: measured tg8@d55']);
    for (const { tokensPerSecond, firstTokenMs } of report.results) {
      expect(tokensPerSecond.min).toBeGreaterThan(0);
      expect(firstTokenMs?.min).toBeGreaterThan(0);
    }
    const [prefill, decode] = report.results;
    const perToken = 64 * 112 + 80 * 64 + 3 * 64 * 96;
    expect(prefill?.flops).toBe(2 * 3 * perToken * 16 + (4 * 3 * 5 * 16 * (16 * 17)) / 2);
    // Matrices as small as these have 8 bits and half a bit of scale, as does the head; rows of 80 do not suit integers.
    // Then there are norms.
    const inner = (3 * (perToken - 80 * 64) * 8.5) / 8 + 3 * 80 * 64 * 2;
    const weights = inner + (515 * 64 * 8.5) / 8 + 4 * 7 * 64;
    expect(decode?.stepBytes).toBe(weights + 3 * 2 * 16 * 2 * 8); // keys and values in f16
  });

  it('measures encoders and encoder-decoders, and their kernels', async (context) => {
    const gpu = gpuOf(context);
    const encoder = await run(gpu, made(BERT, 'f16'), ['enc32x2'], { profiles: true });
    expect(encoder.model.kind).toBe('encoder');
    const [result] = encoder.results;
    expect(result?.textsPerSecond?.median).toBeCloseTo(
      (result?.tokensPerSecond.median ?? 0) / 32,
      6,
    );
    const perToken = 4 * 64 * 64 + 2 * 64 * 96;
    expect(result?.flops).toBe(2 * (2 * 2 * perToken * 32 + 4 * 2 * 64 * 32 ** 2));
    expect(result?.profile?.kernels.length).toBeGreaterThan(5);

    const both = await run(gpu, made(T5, 'f32'), ['enc32', 'tg8']);
    expect(both.results.map(({ test }) => test)).toEqual(['enc32', 'tg8']);
    for (const { tokensPerSecond } of both.results) expect(tokensPerSecond.min).toBeGreaterThan(0);
  });

  it('refuses tests of other kinds, and can be ended', async (context) => {
    const gpu = gpuOf(context);
    await expect(run(gpu, made(BERT, 'f16'), ['tg8'])).rejects.toThrow(RequestError);
    const reason = new Error('enough');
    const ended = run(gpu, made(LLAMA, 'q4'), ['pp16'], { signal: AbortSignal.abort(reason) });
    await expect(ended).rejects.toBe(reason);
  });
});

it('profiles a step: shares that sum to 1, and the bytes of a matrix', async (context) => {
  const options = { gpu: gpuOf(context), ...QUICK };
  const { subject } = await openSubject(
    made(LLAMA, 'q4'),
    'decoder',
    TESTS.map(parseTest),
    options,
  );
  if (subject.kind === 'encoder') throw new Error('expected a decoder');
  const { generator } = subject;
  try {
    await new Promise<void>((resolve, reject) => {
      const sampling = {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        logitBias: new Map(),
        seed: [0, 0] as const,
        topLogprobs: undefined,
      };
      generator.add({
        prompt: [5, 6],
        maxTokens: 4,
        stopIds: new Set(),
        sampling,
        onToken: (_, reason) => reason && resolve(),
        onError: reject,
      });
    });
    const step = generator.runner.lastStep;
    if (step === undefined) throw new Error('no step was run');
    expect(step.work).toMatchObject({ kvTokens: 5, pairs: 5, counts: { tokens: 1 } });
    const how = { clock: CLOCK, repetitions: 1, leastMs: 1 };
    const report = await profileRecording(generator.device, step.recording, step.work, how);
    expect(report.kernels.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    expect(report.kernels.reduce((sum, { dispatches }) => sum + dispatches, 0)).toBe(
      report.dispatches,
    );
    const down = report.kernels.find(({ label }) => label === 'q8 64x96');
    expect(down?.dispatches).toBe(3);
    // Integers, scales, x and y, and the residual.
    expect(down?.bytes).toBe(3 * (64 * 96 + (2 * 64 * 96) / 32 + 4 * (96 + 64 + 64)));
    expect(down?.flops).toBe(3 * 2 * 64 * 96);
  } finally {
    await generator.dispose();
  }
});

it('measures variants of a kernel in turn, and leaves nothing behind', async (context) => {
  const device = await openDevice(gpuOf(context));
  const sizes = {
    matrices: [{ outputs: 24, inputs: 64 }],
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    dim: 64,
    vocab: 100,
  };
  const cases = {
    facts: device.facts,
    forms: ['q4'],
    rows: [2],
    lengths: [],
    kvDtype: 'f16',
  } as const;
  const [matmul] = kernelCases('matmul', sizes, cases);
  if (matmul === undefined) throw new Error('no case');
  const before = device.memory.report();
  const [chosen] = matmul.variants(device.facts);
  const variants = ['plain', chosen ?? '', 'no such variant'];
  const results = await benchKernel(device, matmul, {
    clock: CLOCK,
    variants,
    repetitions: 2,
    leastMs: 1,
  });
  expect(results.map(({ variant }) => variant)).toEqual(['plain', chosen]);
  for (const { us, gigaflopsPerSecond } of results) {
    expect(us.runs).toHaveLength(2);
    expect(gigaflopsPerSecond.min * us.max).toBeCloseTo((2 * 2 * 24 * 64) / 1e3, 6);
  }
  const { scratch: _, total: _total, ...after } = device.memory.report();
  expect(before).toMatchObject(after);
  if (device.facts.isSoftware) {
    const little = { clock: CLOCK, repetitions: 1, leastMs: 1, availableBytes: 1000 };
    await expect(benchKernel(device, matmul, little)).rejects.toThrow(
      /^matmul q4 24x64, 2 rows: takes \d+ bytes, expected at most 1000; choose smaller sizes$/,
    );
  }
  device.dispose();
});
