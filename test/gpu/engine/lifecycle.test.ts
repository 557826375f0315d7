/** Requests beside each other, cancelled, and cut off by the end of the engine or of the device. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Engine, type LoadOptions } from '../../../src/index.ts';
import { DeviceLostError, DisposedError } from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

const LIMITS = { contextLength: 256, maxSequences: 3, tokenBudget: 8, pageSize: 16 } as const;
const PROMPT = 'abcdefgh';
const LONG = Array.from({ length: 200 }, (_, i) => 3 + ((i * i) % 90));

/** Node hides it unless it is told to on its command line. */
const collectGarbage: () => void = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
})();

/** Waits until the engine is in the middle of the long prompt. */
async function untilBusy(engine: Engine): Promise<void> {
  while ((await engine.stats()).kvCache.usedPages <= 3) await setImmediate();
}

/** What came out of a stream, and how it ended. */
interface Reading {
  readonly texts: string[];
  error?: unknown;
}

describeOnGpus(
  'the engine',
  (gpu) => {
    const load = (options: LoadOptions = {}) =>
      Engine.load(tinyModel(), { gpu: gpu(), selfTest: 'never', ...LIMITS, ...options });

    const stream = (engine: Engine, max_tokens = 12, options: { signal?: AbortSignal } = {}) =>
      engine.completions.create({
        prompt: PROMPT,
        temperature: 0,
        max_tokens,
        ...options,
        stream: true,
      });

    const read = async (opening: ReturnType<typeof stream>): Promise<Reading> => {
      const reading: Reading = { texts: [] };
      try {
        for await (const { choices } of await opening) reading.texts.push(choices[0]?.text ?? '');
      } catch (error) {
        reading.error = error;
      }
      return reading;
    };

    describe('with several requests', () => {
      let engine: Engine;
      beforeAll(async () => {
        engine = await load();
      });
      afterEach(async () => {
        const { kvCache, requests } = await engine.stats();
        const left = { usedPages: kvCache.usedPages, ...requests };
        expect(left).toEqual({ usedPages: 0, running: 0, waiting: 0 });
        const { choices } = await engine.completions.create({ prompt: PROMPT, max_tokens: 3 });
        expect(choices[0]?.text).toHaveLength(3);
      });
      afterAll(() => engine?.dispose());

      it('serves more streams than run at once, each as if it were alone', async () => {
        const prompts = ['a', 'ab', 'Hello', '!!!!', 'abcd', PROMPT.repeat(5), 'z'];
        const ask = async (prompt: string) => {
          let text = '';
          const params = { prompt, temperature: 0, max_tokens: 10, stream: true } as const;
          for await (const { choices } of await engine.completions.create(params)) {
            text += choices[0]?.text ?? '';
          }
          return text;
        };
        const alone = [];
        for (const prompt of prompts) alone.push(await ask(prompt));
        for (const text of alone) expect(text.length).toBeGreaterThan(5);
        expect(await Promise.all(prompts.map(ask))).toEqual(alone);
      });

      it('goes on with a stream while a long prompt is computed', async () => {
        const events: string[] = [];
        const running = await stream(engine, 60);
        await running.next();
        const long = engine.completions
          .create({ prompt: LONG, max_tokens: 1 })
          .then(() => events.push('long'));
        for await (const { choices } of running) events.push(choices[0]?.text ?? '');
        await long;
        // 200 tokens by 8 less the stream's own: 29 steps, each with a token for the stream.
        expect(events.indexOf('long')).toBeGreaterThanOrEqual(25);
        expect(events).toHaveLength(60);
      });

      it('refuses a request whose signal is aborted already', async () => {
        const reason = new Error('never mind');
        const signal = AbortSignal.abort(reason);
        await expect(stream(engine, 1, { signal })).rejects.toBe(reason);
        const params = { prompt: LONG, max_tokens: 1, signal };
        await expect(engine.completions.create(params)).rejects.toBe(reason);
        const messages = [{ role: 'user', content: 'a' }];
        await expect(engine.chat.completions.create({ messages, signal })).rejects.toBe(reason);
      });

      it.each([new Error('enough'), 'enough', undefined])(
        'is aborted in the middle of a prompt, with the reason %s',
        async (reason) => {
          const controller = new AbortController();
          const { signal } = controller;
          const prompt = { prompt: LONG.toReversed(), max_tokens: 4, n: 2, signal };
          const whole = engine.completions.create(prompt);
          const streamed = (await engine.completions.create({ ...prompt, stream: true })).next();
          const settled = Promise.allSettled([whole, streamed]);
          await untilBusy(engine);
          controller.abort(reason);
          const { usedPages } = (await engine.stats()).kvCache;
          expect(usedPages).toBe(0);
          const rejected = { status: 'rejected', reason: signal.reason };
          expect(await settled).toEqual([rejected, rejected]);
        },
      );

      it.each([new Error('enough'), 'enough', undefined])(
        'is aborted in the middle of a reply, with the reason %s',
        async (reason) => {
          const controller = new AbortController();
          const { signal } = controller;
          const chunks = await stream(engine, 100, { signal });
          await chunks.next();
          controller.abort(reason);
          const rest = await read(Promise.resolve(chunks));
          expect(rest.error).toBe(signal.reason);
          expect(rest.texts.length).toBeLessThan(99);
          expect(await chunks.next()).toEqual({ done: true, value: undefined });
        },
      );

      it('ends a request when the loop over its stream is left', async () => {
        const { steps } = (await engine.stats()).totals;
        for await (const { choices } of await stream(engine, 200)) {
          if (choices[0]?.text !== '') break;
        }
        expect((await engine.stats()).requests.running).toBe(0);
        expect((await engine.stats()).totals.steps - steps).toBeLessThan(20);
      });

      it('keeps the other streams when one is aborted', async () => {
        const alone = await read(stream(engine, 20));
        const controller = new AbortController();
        const others = [stream(engine, 20), stream(engine, 20)].map(read);
        const aborted = await stream(engine, 100, { signal: controller.signal });
        await aborted.next();
        controller.abort();
        expect((await read(Promise.resolve(aborted))).error).toBe(controller.signal.reason);
        expect(await Promise.all(others)).toEqual([alone, alone]);
      });
    });

    describe('that ends', () => {
      const expectRefusal = async (engine: Engine, error: new (...args: never[]) => Error) => {
        const messages = [{ role: 'user', content: 'a' }];
        await expect(stream(engine)).rejects.toThrow(error);
        await expect(engine.chat.completions.create({ messages })).rejects.toThrow(error);
      };

      it('ends its streams and refuses further calls when it is disposed', async () => {
        const engine = await load();
        const readings = [stream(engine, 200), stream(engine, 200)].map(read);
        const whole = engine.completions.create({ prompt: LONG }).catch((error: unknown) => error);
        await untilBusy(engine);
        await Promise.all([engine.dispose(), engine.dispose()]);
        for (const { error } of await Promise.all(readings))
          expect(error).toBeInstanceOf(DisposedError);
        expect(await whole).toBeInstanceOf(DisposedError);
        await expectRefusal(engine, DisposedError);
        await expect(engine.stats()).rejects.toThrow(DisposedError);
        await expect(engine.tokenize('a')).rejects.toThrow(DisposedError);
        await expect(engine.detokenize([3])).rejects.toThrow(DisposedError);
        await engine.dispose();
      });

      it('leaves nothing behind for which memory would be held', async () => {
        const reference = async (): Promise<WeakRef<Engine>> => {
          const engine = await load();
          await engine.dispose();
          return new WeakRef(engine);
        };
        const left = await reference();
        const isLeft = (): boolean => {
          collectGarbage();
          return left.deref() !== undefined;
        };
        await expect.poll(isLeft).toBe(false);
      });

      /** Loses the device as often as it is replaced. */
      const loseOften = async (engine: Engine, devices: readonly GPUDevice[]): Promise<void> => {
        for (const count of [1, 2]) {
          devices.at(-1)?.destroy();
          while ((await engine.stats()).recoveries < count) await setImmediate();
        }
      };

      it('ends its streams with the error when the device is lost for good, and can be loaded again', async () => {
        const { gpu: capturing, devices } = captureDevices(gpu());
        const engine = await load({ gpu: capturing });
        await loseOften(engine, devices);
        const readings = [stream(engine, 200), stream(engine, 200)].map(read);
        const whole = engine.completions.create({ prompt: LONG }).catch((error: unknown) => error);
        await untilBusy(engine);
        devices.at(-1)?.destroy();
        for (const { texts, error } of await Promise.all(readings)) {
          expect(error).toBeInstanceOf(DeviceLostError);
          expect(texts.length).toBeLessThan(200);
        }
        expect(await whole).toMatchObject({
          name: 'DeviceLostError',
          message: expect.stringMatching(/^device: lost .* load the model again$/s),
        });
        await expectRefusal(engine, DeviceLostError);
        const { requests, kvCache } = await engine.stats();
        expect({ ...requests, usedPages: kvCache.usedPages }).toEqual({
          running: 0,
          waiting: 0,
          usedPages: 0,
        });
        await engine.dispose();

        const next = await load({ gpu: capturing });
        expect((await read(stream(next, 5))).texts.join('')).toHaveLength(5);
        await next.dispose();
      });

      it('says so when the device is lost for good while nothing runs', async () => {
        const { gpu: capturing, devices } = captureDevices(gpu());
        const engine = await load({ gpu: capturing });
        await loseOften(engine, devices);
        devices.at(-1)?.destroy();
        await devices.at(-1)?.lost;
        await setImmediate(); // everybody has been told
        await expectRefusal(engine, DeviceLostError);
        await engine.dispose();
      });
    });
  },
  ONE_ADAPTER,
);
