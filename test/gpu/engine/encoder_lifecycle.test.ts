/** Encoders with much to do: in which time and memory, ended in the middle, and on devices that are lost. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Encoder, type LocalEncoderOptions, type RecoveryEvent } from '../../../src/index.ts';
import { DeviceLostError, DisposedError } from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { CONFORMANCE, readModelJson } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyEncoder } from '../../support/tiny_encoder.ts';

/** Short texts of the letters a to z. */
function texts(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 1 + (i % 3) }, (_, k) =>
      String.fromCodePoint(97 + ((i * 7 + k) % 26)),
    ).join(' '),
  );
}

/** The config.json of a fixture, with changes. */
function configOf(fixture: string, changes: object): { readonly 'config.json': string } {
  const json = readModelJson(`${CONFORMANCE}/${fixture}`, 'config.json');
  return { 'config.json': JSON.stringify({ ...json, ...changes }) };
}

const POOLED = { pooling: 'mean' } as const;

describeOnGpus(
  'an encoder',
  (gpu) => {
    const load = (
      options: LocalEncoderOptions = {},
      source = tinyEncoder('bert-base', configOf('bert-base', { num_hidden_layers: 1 })),
    ) => Encoder.load(source, { gpu: gpu(), selfTest: 'never', ...options });

    it('ends a call in the middle when it is aborted, and goes on with others', async () => {
      const encoder = await load({ tokenBudget: 64 });
      const controller = new AbortController();
      const reason = new Error('enough');
      const seen: number[] = [];
      const onProgress = ({ done, total }: { done: number; total: number }): void => {
        expect(total).toBe(200);
        seen.push(done);
        if (seen.length === 3) controller.abort(reason);
      };
      const options = { ...POOLED, signal: controller.signal, onProgress };
      const aborted = encoder.encode(texts(200), options);
      const other = encoder.encode(texts(100), POOLED);
      await expect(aborted).rejects.toBe(reason);
      expect(seen).toHaveLength(3);
      const alone = await load();
      const expected = await alone.encode(texts(100), POOLED);
      for (const [i, { vector }] of (await other).entries()) {
        expect(vector?.[0]).toBeCloseTo(expected[i]?.vector?.[0] ?? NaN, 5);
      }
      expect(seen).toHaveLength(3);
      expect((await encoder.stats()).requests).toEqual({ running: 0, waiting: 0 });
      await expect(encoder.encode('a', options)).rejects.toBe(reason);
      expect((await encoder.encode('a', POOLED)).vector).toHaveLength(64);
      await Promise.all([encoder.dispose(), alone.dispose()]);
    });

    it('ends its calls when it is disposed, and takes no more', async () => {
      const { gpu: capturing, devices } = captureDevices(gpu());
      const encoder = await load({ gpu: capturing, tokenBudget: 64 });
      const calls: Promise<unknown>[] = [];
      await new Promise<void>((resolve) => {
        calls.push(
          encoder.encode(texts(300), { ...POOLED, onProgress: () => resolve() }),
          encoder.encode(texts(300), { outputs: ['pooler_output'] }),
        );
      });
      const disposing = encoder.dispose();
      for (const call of calls) await expect(call).rejects.toThrow(DisposedError);
      await disposing;
      await encoder.dispose();
      await expect(encoder.encode('a')).rejects.toThrow(DisposedError);
      await expect(encoder.tokenize('a')).rejects.toThrow(DisposedError);
      await expect(encoder.stats()).rejects.toThrow(DisposedError);
      await Promise.all(devices.map(({ lost }) => lost));
    });

    it('leaves no device behind when loading is aborted', async () => {
      for (const phase of ['files', 'weights', 'compile', 'ready']) {
        const { gpu: capturing, devices } = captureDevices(gpu());
        const controller = new AbortController();
        const reason = new Error(phase);
        const loading = load({
          gpu: capturing,
          signal: controller.signal,
          onProgress: (progress) => {
            if (progress.phase === phase) controller.abort(reason);
          },
        });
        await expect(loading).rejects.toBe(reason);
        expect(devices.length).toBe(phase === 'files' ? 0 : 1);
        await Promise.all(devices.map(({ lost }) => lost));
      }
    });

    it('goes on where it was when its device is lost', async () => {
      const { gpu: capturing, devices } = captureDevices(gpu());
      const events: RecoveryEvent['phase'][] = [];
      const encoder = await load({
        gpu: capturing,
        tokenBudget: 64,
        onRecovery: ({ phase }) => events.push(phase),
      });
      const expected = await encoder.encode(texts(200), POOLED);
      const lose = (): void => devices.at(-1)?.destroy();
      let steps = 0;
      const after = await encoder.encode(texts(200), {
        ...POOLED,
        onProgress: () => {
          steps += 1;
          if (steps === 4) lose();
        },
      });
      for (const [i, { ids, vector }] of after.entries()) {
        expect(ids).toEqual(expected[i]?.ids);
        expect(vector?.[0]).toBeCloseTo(expected[i]?.vector?.[0] ?? NaN, 5);
      }
      expect(events).toEqual(['lost', 'recovered']);
      const { recoveries, totals, memory } = await encoder.stats();
      expect(recoveries).toBe(1);
      expect(totals.texts).toBe(400);
      expect(memory.weights).toBeGreaterThan(0);

      // While nothing runs, and then once too often.
      lose();
      while (events.length < 4) await setImmediate();
      const last = encoder.encode(texts(200), { ...POOLED, onProgress: lose });
      await expect(last).rejects.toThrow(DeviceLostError);
      await expect(encoder.encode('a')).rejects.toThrow(
        /again, after 2 recoveries within a minute/,
      );
      await encoder.dispose();
    });
  },
  ONE_ADAPTER,
);

describeOnGpus(
  'an encoder with much to do',
  (gpu) => {
    it('encodes 10,000 short texts', async () => {
      const source = tinyEncoder('bert-base', configOf('bert-base', { num_hidden_layers: 1 }));
      const encoder = await Encoder.load(source, { gpu: gpu(), selfTest: 'never' });
      const inputs = texts(10_000);
      const told: number[] = [];
      const encodings = await encoder.encode(inputs, {
        ...POOLED,
        onProgress: ({ done }) => told.push(done),
      });
      expect(encodings).toHaveLength(10_000);
      const { totals } = await encoder.stats();
      const tokens = encodings.reduce((sum, { ids }) => sum + ids.length, 0);
      expect(totals).toMatchObject({ texts: 10_000, tokens });
      // Full steps, but for the last texts of what was ready.
      expect(totals.steps).toBeLessThan((tokens / 256) * 1.2);
      expect(told.at(-1)).toBe(10_000);
      expect(told).toEqual(told.toSorted((a, b) => a - b));
      expect(told.length).toBeLessThanOrEqual(totals.steps);
      for (const i of [0, 4_321, 9_999]) {
        const { vector } = await encoder.encode(inputs[i] ?? '', POOLED);
        expect(encodings[i]?.vector?.[0]).toBeCloseTo(vector?.[0] ?? NaN, 5);
      }
      await encoder.dispose();
    });

    it('takes memory in proportion to the longest text', async () => {
      const changes = {
        max_position_embeddings: 8192,
        num_hidden_layers: 1,
        layer_types: ['full_attention'],
      };
      const memoryFor = async (count: number): Promise<number> => {
        const source = tinyEncoder('modernbert', configOf('modernbert', changes));
        const encoder = await Encoder.load(source, { gpu: gpu(), selfTest: 'never' });
        await encoder.encode(
          { ids: Array.from({ length: count }, (_, i) => 5 + (i % 40)) },
          POOLED,
        );
        const { memory } = await encoder.stats();
        await encoder.dispose();
        return memory.total - memory.weights;
      };
      const [short, twice, long] = [
        await memoryFor(512),
        await memoryFor(1024),
        await memoryFor(4096),
      ];
      expect(twice / short).toBeLessThan(2.1);
      // As much again for every further token.
      expect((long - twice) / (twice - short)).toBeCloseTo(6, 1);
    });
  },
  ONE_ADAPTER,
);
