/** Devices that are lost while replies are made: the replies must be those of a device that was not. */
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RecoveryEvent } from '../../../src/engine/api.ts';
import { Engine, type LoadOptions } from '../../../src/index.ts';
import {
  DeviceLostError,
  DisposedError,
  DownloadError,
  NoWebGpuError,
} from '../../../src/util/errors.ts';
import type { ModelSource } from '../../../src/weights/source.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices, losableGpu } from '../../support/capture_devices.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

const LIMITS = {
  contextLength: 256,
  maxSequences: 4,
  tokenBudget: 8,
  pageSize: 16,
  selfTest: 'never', // it opens devices of its own
} as const;
const LONG = Array.from({ length: 90 }, (_, i) => 3 + ((i * i) % 90));
const SEEDED = { temperature: 1.1, top_p: 0.95, seed: 5 } as const;

interface Replies {
  /** All that came out, but for ids, times and the numbers below. */
  readonly said: string;
  /** What kernels for few and for many tokens round differently: log-probabilities, in order. */
  readonly logprobs: readonly number[];
}

/** Asks requests of every kind. */
async function askAll(engine: Engine, onChunk: () => void = () => undefined): Promise<Replies> {
  const { completions, chat } = engine;
  const streamed = async (params: object, prompt: string | readonly number[]) => {
    const parts: unknown[] = [];
    const chunks = await completions.create({ prompt, ...params, stream: true });
    for await (const { choices } of chunks) {
      parts.push(choices);
      onChunk();
    }
    return parts;
  };
  const messages = [{ role: 'user', content: 'abcabcabc' }];
  const penalties = { repetition_penalty: 1.3, frequency_penalty: 0.4, presence_penalty: 0.2 };
  const chatting = chat.completions.create({ messages, n: 2, ...SEEDED, max_tokens: 9 });
  const replies = await Promise.all([
    streamed({ max_tokens: 24, temperature: 0 }, 'abcdefgh'),
    streamed({ max_tokens: 17, ...SEEDED, ...penalties, logit_bias: { 20: 2 } }, 'Hello'),
    streamed({ max_tokens: 6, temperature: 0, logprobs: 3 }, LONG),
    streamed({ max_tokens: 40, ...SEEDED, stop: ['~~'] }, LONG.slice(0, 33)),
    chatting.then(({ choices }) => choices),
  ]);
  const logprobs: number[] = [];
  const said = JSON.stringify(replies, (_, value: unknown) => {
    if (typeof value !== 'number' || Number.isInteger(value)) return value;
    logprobs.push(value);
    return 'a number';
  });
  return { said, logprobs };
}

function expectSame(actual: Replies, expected: Replies, run = ''): void {
  expect(actual.said, run).toBe(expected.said);
  expect(actual.logprobs).toHaveLength(expected.logprobs.length);
  for (const [i, logprob] of actual.logprobs.entries()) {
    expect(logprob).toBeCloseTo(expected.logprobs[i] ?? NaN, 4);
  }
}

/** Numbers from 0 to `below` - 1, always the same. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await setImmediate();
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setImmediate();
}

/** Time that passes for the engine although no test waits for it. */
let skippedMs = 0;
const realNow = performance.now.bind(performance);
beforeAll(() => {
  vi.spyOn(performance, 'now').mockImplementation(() => realNow() + skippedMs);
});
afterAll(() => {
  vi.restoreAllMocks();
});

/** A source whose files can be held back, or be gone. */
function gatedModel() {
  const source = tinyModel();
  const gate = { isShut: false, error: undefined as Error | undefined, reads: 0 };
  const gated: ModelSource = {
    name: source.name,
    async open(path, signal) {
      const file = await source.open(path, signal);
      if (file === undefined) return undefined;
      return {
        ...file,
        async read(begin, end, readSignal) {
          gate.reads += 1;
          if (gate.error !== undefined) throw gate.error;
          await until(() => !gate.isShut || readSignal?.aborted === true);
          return file.read(begin, end, readSignal);
        },
      };
    },
  };
  return { source: gated, gate };
}

function describeLoss(gpu: () => GPU, kind: 'destroyed' | 'lost by its driver'): void {
  describe(kind, () => {
    let engine: Engine;
    let expected: Replies;
    let lose: () => void;
    let devices: readonly GPUDevice[];
    const events: RecoveryEvent[] = [];

    beforeAll(async () => {
      const options = { ...LIMITS, onRecovery: (event: RecoveryEvent) => events.push(event) };
      if (kind === 'destroyed') {
        const captured = captureDevices(gpu());
        devices = captured.devices;
        lose = () => devices.at(-1)?.destroy();
        engine = await Engine.load(tinyModel(), { ...options, gpu: captured.gpu });
      } else {
        const losable = losableGpu(gpu());
        devices = losable.devices;
        lose = () => losable.lose('driver reset');
        engine = await Engine.load(tinyModel(), { ...options, gpu: losable.gpu });
      }
      expected = await askAll(engine);
      expect(expected.logprobs).toHaveLength(6 * (1 + 3));
    });
    afterEach(async () => {
      const { requests, kvCache } = await engine.stats();
      expect({ ...requests, usedPages: kvCache.usedPages }).toEqual({
        running: 0,
        waiting: 0,
        usedPages: 0,
      });
      // All but the one in use are gone.
      await Promise.all(devices.slice(0, -1).map(({ lost }) => lost));
      skippedMs += 60_000;
    });
    afterAll(() => engine?.dispose());

    it('replies as if nothing had been, wherever it is lost', async () => {
      const roll = dice(kind.length);
      const inRecovery = [1, 4];
      for (let run = 0; run < 6; run += 1) {
        skippedMs += 60_000;
        const before = await engine.stats();
        events.length = 0;
        let left = run < 2 ? 0 : 1 + roll(70);
        let losses = 0;
        const strike = async (): Promise<void> => {
          // Between the chunks, not only when one has come.
          await turns(roll(run < 2 ? 12 : 4));
          lose();
          losses += 1;
          if (!inRecovery.includes(run)) return;
          const opened = devices.length;
          await until(() => devices.length > opened);
          await turns(roll(30));
          lose();
          losses += 1;
        };
        let striking = left === 0 ? strike() : undefined;
        const replies = await askAll(engine, () => {
          left -= 1;
          if (left === 0) striking = strike();
        });
        await striking;
        expectSame(replies, expected, `run ${run}`);
        // The replies may have been complete when the device was lost.
        const lostTimes = (): number => events.filter(({ phase }) => phase === 'lost').length;
        await until(() => lostTimes() === losses && events.at(-1)?.phase === 'recovered');
        const { recoveries, totals, ...after } = await engine.stats();
        expect(losses).toBeGreaterThan(0);
        expect(recoveries).toBeGreaterThan(before.recoveries);
        expect(after).toMatchObject({ memory: before.memory, pipelines: before.pipelines });
        expect(totals.steps).toBeGreaterThan(before.totals.steps);
        expect(totals.generatedTokens - before.totals.generatedTokens).toBe(24 + 17 + 6 + 40 + 18);
      }
    });

    it('takes a new device also while nothing runs', async () => {
      const before = await engine.stats();
      events.length = 0;
      lose();
      await until(() => events.length === 2);
      expect(events).toEqual([
        { phase: 'lost', reason: expect.stringMatching(/^(destroyed|unknown: driver reset)/) },
        { phase: 'recovered', reason: events[0]?.reason },
      ]);
      const { recoveries, kvCache, ...after } = await engine.stats();
      expect(recoveries).toBe(before.recoveries + 1);
      expect(kvCache.cachedPages).toBe(0);
      const { memory, pipelines, adapter, totals } = before;
      expect(after).toMatchObject({ memory, pipelines, adapter, totals });
      expectSame(await askAll(engine), expected);
    });
  });
}

// What becomes of the requests, wherever they are, may depend on how the adapter's work comes back; the rest does not.
describeOnGpus('an engine whose device is lost', (gpu) => describeLoss(gpu, 'destroyed'));

describeOnGpus(
  'an engine whose device is lost',
  (gpu) => {
    describeLoss(gpu, 'lost by its driver');

    /** An engine that can be lost, and whose source can be shut. */
    async function loadGated(options: LoadOptions = {}) {
      const { gpu: capturing, devices } = captureDevices(gpu());
      const { source, gate } = gatedModel();
      const events: RecoveryEvent[] = [];
      const engine = await Engine.load(source, {
        ...LIMITS,
        gpu: capturing,
        onRecovery: (event) => events.push(event),
        ...options,
      });
      const lose = (): void => devices.at(-1)?.destroy();
      const open = (prompt: string | readonly number[] = 'abcdefgh', signal?: AbortSignal) =>
        engine.completions.create({
          prompt,
          temperature: 0,
          max_tokens: 20,
          stream: true,
          ...(signal && { signal }),
        });
      const read = async (opening: ReturnType<typeof open>) => {
        const texts: string[] = [];
        try {
          for await (const { choices } of await opening) texts.push(choices[0]?.text ?? '');
        } catch (error) {
          return { text: texts.join(''), error };
        }
        return { text: texts.join('') };
      };
      /** Loses the device, and waits until the new one's weights are being read; the gate keeps them. */
      const loseAndWait = async (): Promise<void> => {
        const { reads } = gate;
        gate.isShut = true;
        lose();
        await until(() => gate.reads > reads);
      };
      return { engine, gate, devices, events, lose, loseAndWait, open, read };
    }

    it('ends what is aborted meanwhile at once, and runs what is asked meanwhile afterwards', async () => {
      const { engine, gate, loseAndWait, open, read } = await loadGated();
      const alone = [await read(open()), await read(open('Hello'))];
      const controller = new AbortController();
      const going = read(open());
      const aborted = read(open(LONG, controller.signal));
      await until(async () => (await engine.stats()).kvCache.usedPages > 2);
      await loseAndWait();
      const late = [read(open()), read(open('Hello'))];
      controller.abort();
      expect((await aborted).error).toBe(controller.signal.reason);
      expect(await engine.stats()).toMatchObject({
        requests: { running: 0, waiting: 3 },
        memory: { kv: 0 },
        recoveries: 0,
      });
      gate.isShut = false;
      expect(await going).toEqual(alone[0]);
      expect(await Promise.all(late)).toEqual(alone);
      await engine.dispose();
    });

    it('is disposed at any moment of it, and leaves no device behind', async () => {
      for (const moment of [0, 2, 7, 15]) {
        const { engine, devices, events, lose, open, read } = await loadGated();
        const reading = read(open());
        await until(async () => (await engine.stats()).kvCache.usedPages > 0);
        lose();
        await until(() => events.length > 0);
        await turns(moment);
        await engine.dispose();
        const { error, text } = await reading;
        // On a fast device the reply may have come to its end before.
        if (text.length < 20) expect(error).toBeInstanceOf(DisposedError);
        await Promise.all(devices.map(({ lost }) => lost));
        expect(events.map(({ phase }) => phase)).not.toContain('failed');
        await expect(open()).rejects.toThrow(DisposedError);
      }
      const { engine, devices, loseAndWait, open, read } = await loadGated();
      const reading = read(open());
      await loseAndWait();
      await engine.dispose();
      expect((await reading).error).toBeInstanceOf(DisposedError);
      expect(devices).toHaveLength(2);
      await Promise.all(devices.map(({ lost }) => lost));
    });

    it('is not disposed before a device that is just being opened is gone, too', async () => {
      const real = gpu();
      let isShut = false;
      const slow = {
        wgslLanguageFeatures: real.wgslLanguageFeatures,
        async requestAdapter(options?: GPURequestAdapterOptions) {
          await until(() => !isShut);
          return real.requestAdapter(options);
        },
      } as unknown as GPU;
      const { gpu: capturing, devices } = captureDevices(slow);
      const { engine, gate, events } = await loadGated({ gpu: capturing });
      isShut = true;
      devices[0]?.destroy();
      await until(() => events.length > 0);
      const { reads } = gate;
      let isDisposed = false;
      const disposing = engine.dispose().then(() => {
        isDisposed = true;
      });
      await turns(20);
      expect(isDisposed).toBe(false);
      isShut = false;
      await disposing;
      expect(devices).toHaveLength(2);
      expect(gate.reads).toBe(reads); // no weights for a device that nobody wants
      await Promise.all(devices.map(({ lost }) => lost));
    });

    it('ends for good when the files are gone', async () => {
      const { engine, gate, devices, events, lose, open, read } = await loadGated();
      const readings = [read(open()), read(open(LONG))];
      await until(async () => (await engine.stats()).kvCache.usedPages > 2);
      gate.error = new DownloadError('model.safetensors', 'answered 404', { status: 404 });
      lose();
      const [first, second] = await Promise.all(readings);
      expect(first?.error).toBeInstanceOf(DeviceLostError);
      expect(second?.error).toBe(first?.error);
      expect(first?.error).toMatchObject({
        message: expect.stringMatching(
          /^device: lost \(.*\) and could not be replaced: model\.safetensors: answered 404; load/s,
        ),
        cause: gate.error,
      });
      expect(events.map(({ phase }) => phase)).toEqual(['lost', 'failed']);
      await Promise.all(devices.map(({ lost }) => lost));
      await expect(open()).rejects.toBe(first?.error);
      expect(await engine.stats()).toMatchObject({
        requests: { running: 0, waiting: 0 },
        memory: { total: 0 },
        recoveries: 0,
      });
      await engine.dispose();
    });

    it('ends for good when there is no adapter any more', async () => {
      let isGone = false;
      const real = gpu();
      const vanishing = {
        wgslLanguageFeatures: real.wgslLanguageFeatures,
        requestAdapter: async (options?: GPURequestAdapterOptions) =>
          isGone ? null : real.requestAdapter(options),
      } as unknown as GPU;
      const { gpu: capturing, devices } = captureDevices(vanishing);
      const { engine, events, open, read } = await loadGated({ gpu: capturing });
      const reading = read(open());
      isGone = true;
      devices.at(-1)?.destroy();
      expect((await reading).error).toMatchObject({
        name: 'DeviceLostError',
        message: expect.stringMatching(/could not be replaced: WebGPU: .* no adapter/),
        cause: expect.any(NoWebGpuError),
      });
      await engine.dispose();
      expect(events.map(({ phase }) => phase)).toEqual(['lost', 'failed']);
    });

    it('ends for good when it is lost for the third time within a minute', async () => {
      const { engine, events, lose, open, read } = await loadGated();
      const alone = await read(open());
      for (const count of [1, 2]) {
        const reading = read(open());
        await until(async () => (await engine.stats()).kvCache.usedPages > 0);
        lose();
        expect(await reading).toEqual(alone);
        expect((await engine.stats()).recoveries).toBe(count);
      }
      const reading = read(open());
      await until(async () => (await engine.stats()).kvCache.usedPages > 0);
      lose();
      const { error } = await reading;
      expect(error).toBeInstanceOf(DeviceLostError);
      expect(error).toMatchObject({
        message: expect.stringMatching(
          /^device: lost .* again, after 2 recoveries within a minute; .*load the model again$/s,
        ),
        cause: expect.any(DeviceLostError),
      });
      await expect(open()).rejects.toBe(error);
      const phases = ['lost', 'recovered', 'lost', 'recovered', 'failed'];
      expect(events.map(({ phase }) => phase)).toEqual(phases);
      await engine.dispose();
    });
  },
  ONE_ADAPTER,
);
