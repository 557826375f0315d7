import type { BenchReport, TestResult } from '../../../../src/bench/index.ts';
import type { ProfileReport } from '../../../../src/bench/profile.ts';
import { spreadOf } from '../../../../src/bench/statistics.ts';

/** What differs between made-up reports. */
export interface MadeUp {
  readonly name?: string;
  readonly form?: BenchReport['model']['form'];
  readonly adapter?: string;
  readonly date?: string;
  /** Rates are those of the slowest report times this. */
  readonly speed?: number;
  readonly hasPeaks?: boolean;
}

const runs = (median: number): readonly number[] => [0.97, 1, 1, 1.02, 0.99].map((x) => x * median);

/** A report with a prefill and a decode test, both profiled. */
export function benchReport(made: MadeUp = {}): BenchReport {
  const { name = 'smollm2-135m', form = 'q4', adapter = 'Test GPU', speed = 1 } = made;
  const { date = '2026-01-02T03:04:05.000Z', hasPeaks = true } = made;
  return {
    schema: 'quern-bench/1',
    date,
    model: {
      name,
      modelType: 'llama',
      parameters: 134_515_008,
      isMadeUp: true,
      form,
      configuration: { hidden_size: 576 },
      kind: 'decoder',
    },
    adapter: {
      vendor: 'test',
      architecture: 'one',
      description: adapter,
      isSoftware: false,
      hasF16: true,
      hasSubgroups: true,
    },
    settings: { repetitions: 5, tokenBudget: 256, kvDtype: 'f16', contextLength: 2048 },
    load: { coldMs: 1200 / speed, warmMs: 310 / speed },
    peaks: hasPeaks
      ? {
          readGigabytesPerSecond: spreadOf(runs(100)),
          readBytes: 2 ** 29,
          f32GigaflopsPerSecond: spreadOf(runs(3000)),
          f16GigaflopsPerSecond: spreadOf(runs(5200)),
          dispatchUs: spreadOf(runs(3)),
          encodeUs: spreadOf(runs(1.5)),
          roundTripUs: spreadOf(runs(800)),
        }
      : null,
    results: [prefill(speed, hasPeaks), decode(speed, hasPeaks)],
    doubts: [],
    selfTest: { status: 'passed', checked: ['matmul_tile'], dropped: [], elapsedMs: 0 },
    tuning: { status: 'complete', chosen: {}, elapsedMs: 0 },
    memory: { weights: 8e7, kv: 1e7, scratch: 1e6, state: 1e4, readback: 64, total: 9.1e7 },
    notes: [],
  };
}

function decode(speed: number, hasPeaks: boolean): TestResult {
  const rate = 400 * speed;
  const bytes = 8e7;
  const step = { tokens: 1, bytes, flops: 2.7e8 };
  return {
    test: 'tg128',
    kind: 'decode',
    tokensPerSecond: spreadOf(runs(rate)),
    firstTokenMs: spreadOf(runs(9 / speed)),
    ...(hasPeaks && {
      limit: { by: 'bandwidth', tokensPerSecond: 1250, share: rate / 1250 },
    }),
    stepBytes: bytes,
    gigabytesPerSecond: (bytes * rate) / 1e9,
    work: step,
    profile: profile(step, 1000 / rate, [
      ['matmul_few', 'gate and up', 0.42, 0.45, 0.44],
      ['matmul_few', 'down', 0.22, 0.2, 0.21],
      ['matmul_few', 'qkv', 0.14, 0.1, 0.1],
      ['matmul_few', 'head', 0.12, 0.2, 0.2],
      ['attention_one', '', 0.06, 0.04, 0.04],
      ['sample_greedy', '', 0.02, 0.005, 0.001],
      ['rms_norm', '', 0.02, 0.005, 0.002],
      ['gather_rows', '', 0.001, 0.001, 0],
    ]),
  };
}

function prefill(speed: number, hasPeaks: boolean): TestResult {
  const rate = 4300 * speed;
  const whole = { tokens: 512, bytes: 1.1e8, flops: 1.2e11 };
  const gigaflopsPerSecond = ((rate / 512) * whole.flops) / 1e9;
  return {
    test: 'pp512',
    kind: 'prefill',
    tokensPerSecond: spreadOf(runs(rate)),
    firstTokenMs: spreadOf(runs((512 / rate) * 1000)),
    ...(hasPeaks && {
      limit: { by: 'arithmetic', tokensPerSecond: 12_800, share: rate / 12_800 },
    }),
    flops: whole.flops,
    gigaflopsPerSecond,
    work: whole,
    profile: profile(whole, (512 / rate) * 1000, [
      ['matmul_tile', 'gate and up', 0.55, 0.4, 0.56],
      ['matmul_tile', 'down', 0.2, 0.2, 0.24],
      ['attention_tile', '', 0.15, 0.1, 0.1],
      ['rope_append', '', 0.05, 0.05, 0.0006],
      ['embedding', '', 0.01, 0.02, 0],
    ]),
  };
}

/** A profile of kernels that take these shares of a step's time, bytes and operations. */
function profile(
  work: { readonly bytes: number; readonly flops: number },
  stepMs: number,
  kernels: readonly (readonly [
    name: string,
    label: string,
    time: number,
    bytes: number,
    flops: number,
  ])[],
): ProfileReport {
  return {
    kernels: kernels.map(([name, label, share, ofBytes, ofFlops]) => {
      const ms = stepMs * share;
      const [bytes, flops] = [work.bytes * ofBytes, work.flops * ofFlops];
      return {
        name,
        label,
        dispatches: 30,
        ms: spreadOf(runs(ms)),
        share,
        bytes,
        flops,
        gigabytesPerSecond: bytes / ms / 1e6,
        gigaflopsPerSecond: flops / ms / 1e6,
      };
    }),
    dispatches: 30 * kernels.length,
    kernelsMs: stepMs,
    stepMs: spreadOf(runs(stepMs)),
  };
}
