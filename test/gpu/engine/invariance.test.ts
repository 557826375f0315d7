/**
 * What a request generates does not depend on what runs beside it: random schedules on the real engine, with tiny
 * pools, small budgets, shared prefixes and aborts, against each request alone in a generator of its own.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GREEDY, type SamplingParams } from '../../../src/engine/core/sampling.ts';
import type { GenerationHandle } from '../../../src/engine/generation.ts';
import { Generator } from '../../../src/engine/generator.ts';
import { resolveLimits, type EngineLimits } from '../../../src/engine/limits.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { openModel, uploadModel } from '../../../src/engine/model.ts';
import type { Device } from '../../../src/gpu/device.ts';
import { openDevice } from '../../../src/gpu/open_device.ts';
import type { Decoder } from '../../../src/models/family.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';

/** Past the 32 positions of the fixture with dynamic RoPE, whose keys depend on the prompt's length from there on. */
const CONTEXT = 96;
const MAX_TOKENS = 20;
const RUNS = 6;

/**
 * `poolTokens`: the smallest pool that is tried, just enough for the longest request. A window of 7 needs only the
 * pages that a few tokens touch. The first page size is that of the requests alone.
 */
const MODELS = [
  { name: 'llama', kvDtype: 'f16', pageSizes: [16, 4], poolTokens: CONTEXT },
  { name: 'mistral', kvDtype: 'f32', pageSizes: [4], poolTokens: 16 },
  { name: 'llama-rope-dynamic', kvDtype: 'f32', pageSizes: [4], poolTokens: CONTEXT },
] as const;

interface Spec {
  readonly prompt: readonly number[];
  readonly sampling: SamplingParams;
}

const text = Array.from({ length: CONTEXT }, (_, i) => 3 + ((i * i * 7 + i * 31) % 90));
const SEEDED: SamplingParams = { ...GREEDY, temperature: 0.9, topP: 0.95, seed: [7, 1] };
const PENALIZED: SamplingParams = {
  ...GREEDY,
  temperature: 1.2,
  topK: 40,
  minP: 0.01,
  repetitionPenalty: 1.1,
  frequencyPenalty: 0.4,
  presencePenalty: 0.2,
  logitBias: new Map([[5, 1.5]]),
  seed: [11, 0],
};

/** Prompts that begin alike, end apart, and end on and beside page edges. */
const SPECS: readonly Spec[] = [
  { prompt: text.slice(0, 1), sampling: GREEDY },
  { prompt: text.slice(0, 16), sampling: SEEDED },
  { prompt: text.slice(0, 27), sampling: GREEDY },
  { prompt: text.slice(0, 40), sampling: PENALIZED },
  { prompt: [...text.slice(0, 40), 80, 81, 82], sampling: GREEDY },
  { prompt: text.slice(0, 71), sampling: GREEDY },
  { prompt: [...text.slice(0, 33), ...text.slice(50, 90)], sampling: SEEDED },
];

/** A request in a schedule. Moments are counts of tokens that have come back, whosever they are. */
interface Job {
  readonly spec: number;
  readonly maxTokens: number;
  readonly arrival: number;
  readonly abortAt: number | undefined;
}

interface Schedule {
  readonly limits: EngineLimits;
  readonly jobs: readonly Job[];
}

const job: fc.Arbitrary<Job> = fc.record({
  spec: fc.nat(SPECS.length - 1),
  maxTokens: fc.oneof(fc.constant(MAX_TOKENS), fc.integer({ min: 1, max: MAX_TOKENS })),
  arrival: fc.oneof(fc.constant(0), fc.nat(40)),
  abortAt: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.nat(60) },
  ),
});

const scheduleFor = ({ pageSizes, poolTokens }: (typeof MODELS)[number]) =>
  fc
    .record({
      pageSize: fc.constantFrom(...pageSizes),
      poolFactor: fc.constantFrom(1, 1.25, 4),
      maxSequences: fc.constantFrom(1, 3, 6),
      extraBudget: fc.oneof(fc.nat(6), fc.nat(60)),
      maxInFlight: fc.integer({ min: 1, max: 3 }),
      jobs: fc.array(job, { minLength: 3, maxLength: 7, size: 'max' }),
    })
    .map(({ poolFactor, extraBudget, jobs, ...limits }): Schedule => {
      const tokenBudget = limits.maxSequences + extraBudget;
      return { limits: { ...limits, tokenBudget, kvTokens: poolTokens * poolFactor }, jobs };
    });

/** Requests that grow past the smallest pool, one of them aborted, and one that comes later. */
const crowded = ({ pageSizes, poolTokens }: (typeof MODELS)[number]): Schedule => {
  const pageSize = Math.min(...pageSizes);
  const jobs = [1, 2, 3, 0, 0, 0].map((spec, i) => ({
    spec,
    maxTokens: MAX_TOKENS,
    arrival: 0,
    abortAt: i === 3 ? 12 : undefined,
  }));
  const late = { spec: 4, maxTokens: 5, arrival: 50, abortAt: undefined };
  const limits = { pageSize, maxSequences: 4, tokenBudget: 100, maxInFlight: 2 };
  return { limits: { ...limits, kvTokens: poolTokens }, jobs: [...jobs, late] };
};

/** A prompt, and later one that begins the same, in a pool with room for both. */
const repeated = ({ pageSizes, poolTokens }: (typeof MODELS)[number]): Schedule => {
  const first = { spec: 3, maxTokens: MAX_TOKENS, arrival: 0, abortAt: undefined };
  const limits = { pageSize: Math.min(...pageSizes), maxSequences: 3, tokenBudget: 30 };
  return {
    limits: { ...limits, maxInFlight: 2, kvTokens: 8 * poolTokens },
    jobs: [first, { ...first, spec: 4, arrival: MAX_TOKENS }],
  };
};

interface Outcome {
  readonly tokens: number[];
  hasEnded: boolean;
  handle: GenerationHandle | undefined;
}

/** Plays a schedule. Resolves when every job has ended or was aborted. */
function play(generator: Generator, jobs: readonly Job[]): Promise<readonly Outcome[]> {
  const outcomes = jobs.map((): Outcome => ({ tokens: [], hasEnded: false, handle: undefined }));
  let moment = 0;
  return new Promise((resolve, reject) => {
    const turn = (): void => {
      for (const [i, outcome] of outcomes.entries()) {
        const { arrival = 0, abortAt = Infinity } = jobs[i] ?? {};
        if (outcome.handle === undefined && moment >= arrival) begin(i, outcome);
        if (outcome.handle !== undefined && !outcome.hasEnded && moment >= abortAt) {
          outcome.handle.end();
          outcome.hasEnded = true;
        }
      }
      if (outcomes.every(({ hasEnded }) => hasEnded)) resolve(outcomes);
      else if (outcomes.every(({ handle, hasEnded }) => handle === undefined || hasEnded)) {
        // Nothing runs, so nothing would make the next moment.
        moment += 1;
        turn();
      }
    };
    const begin = (i: number, outcome: Outcome): void => {
      const { spec = 0, maxTokens } = jobs[i] ?? {};
      const { prompt = [], sampling = GREEDY } = SPECS[spec] ?? {};
      outcome.handle = generator.add({
        prompt,
        maxTokens,
        sampling,
        stopIds: new Set(),
        onToken({ token }, finishReason) {
          if (outcome.hasEnded) reject(new Error(`job ${i} got a token after its end`));
          outcome.tokens.push(token);
          outcome.hasEnded = finishReason !== undefined;
          moment += 1;
          turn();
        },
        onError: reject,
      });
    };
    turn();
  });
}

const alone = (spec: number): Job => ({
  spec,
  maxTokens: MAX_TOKENS,
  arrival: 0,
  abortAt: undefined,
});

function describeSchedules(gpu: () => GPU, models: readonly (typeof MODELS)[number][]): void {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice(gpu());
  });
  afterAll(() => device?.dispose());

  it.each(models)('$name: any schedule gives what each request gives alone', async (model) => {
    const loaded = await uploadModel(
      await openModel(openDirectory(`${CONFORMANCE}/${model.name}`), DECODERS),
      device,
    );
    const decoder: Decoder = { ...loaded, maxPositions: CONTEXT };
    const {
      kvDtype,
      pageSizes: [pageSize],
    } = model;
    const create = (limits: EngineLimits): Generator => {
      const options = { contextLength: CONTEXT, kvDtype, ...limits };
      return new Generator(device, decoder, resolveLimits(options, decoder, device.facts));
    };
    const expected: (readonly number[])[] = [];
    for (const spec of SPECS.keys()) {
      const generator = create({ pageSize, tokenBudget: CONTEXT, maxSequences: 1, maxInFlight: 1 });
      const [outcome] = await play(generator, [alone(spec)]);
      expected.push(outcome?.tokens ?? []);
    }
    expect(expected.map(({ length }) => length)).toEqual(SPECS.map(() => MAX_TOKENS));

    const seen = { preemptions: 0, cachedTokens: 0, aborted: 0 };
    const property = fc.asyncProperty(scheduleFor(model), async ({ limits, jobs }) => {
      const generator = create(limits);
      const { scheduler } = generator;
      const numPages = scheduler.numFreeBlocks;
      const outcomes = await play(generator, jobs);
      for (const [i, { tokens }] of outcomes.entries()) {
        const { spec = 0, maxTokens = 0, abortAt } = jobs[i] ?? {};
        const count = abortAt === undefined ? maxTokens : tokens.length;
        expect(tokens, `job ${i}`).toEqual(expected[spec]?.slice(0, count));
        seen.aborted += Number(tokens.length < maxTokens);
      }
      expect(scheduler).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: numPages });
      const { preemptions, cachedTokens } = generator.totals;
      seen.preemptions += preemptions;
      seen.cachedTokens += cachedTokens;
    });
    const examples: [Schedule][] = [[crowded(model)], [repeated(model)]];
    await fc.assert(property, { numRuns: RUNS, examples, endOnFailure: true });
    expect(seen).toSatisfy(() => Object.values(seen).every((count) => count > 0));
  });
}

// Windows and positions are the scheduler's affair, but the sums of a batch are the kernels'.
const [ANYWHERE, ...ON_ONE] = MODELS;
describeOnGpus('schedules', (gpu) => describeSchedules(gpu, [ANYWHERE]));
describeOnGpus('schedules', (gpu) => describeSchedules(gpu, ON_ONE), ONE_ADAPTER);
