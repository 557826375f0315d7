/** What a running engine asks of its device: one submit per step, and nothing that was not made at load. */
import { expect, it, vi } from 'vitest';
import { callsPer, countCalls } from '../../../src/bench/count_calls.ts';
import { Engine, type LoadOptions } from '../../../src/index.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { CREATORS } from '../../support/creators.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';
import { CONFORMANCE, readModelJson } from '../../support/model_files.ts';

const TOKENS = 40;

/** The tiny model with room for 4096 tokens. */
function longModel() {
  const config = readModelJson(`${CONFORMANCE}/llama`, 'config.json');
  return tinyModel({
    'config.json': JSON.stringify({ ...config, max_position_embeddings: 4096 }),
  });
}

describeOnGpus(
  'a running engine',
  (gpu) => {
    it.each([1, 2, 3])(
      'submits once per step and creates nothing, with %i steps in flight',
      async (maxInFlight) => {
        const { gpu: counting, calls } = countCalls(gpu());
        const { gpu: capturing, devices } = captureDevices(counting);
        const options: LoadOptions = {
          gpu: capturing,
          maxInFlight,
          contextLength: 128,
          selfTest: 'never',
          pageSize: 16,
        };
        const engine = await Engine.load(tinyModel(), options);
        const [device] = devices;
        if (device === undefined) throw new Error('no device was opened');
        const creators = CREATORS.map((name) => vi.spyOn(device, name));

        // One reply, then three at once: prompts of 8 tokens fit in one step, each of which gives a token to every reply.
        for (const replies of [1, 3]) {
          const before = { ...calls };
          const { memory, pipelines, totals } = await engine.stats();
          const { usage } = await engine.completions.create({
            prompt: Array.from({ length: replies }, (_, i) => `abcdefg${i}`),
            max_tokens: TOKENS,
            temperature: 0.8,
            seed: 1,
            repetition_penalty: 1.1,
          });
          expect(usage.completion_tokens).toBe(replies * TOKENS);
          const { dispatches, ...perToken } = callsPer(before, calls, TOKENS);
          expect(perToken).toEqual({
            submits: 1,
            passes: 1,
            readbacks: 1,
            buffers: 0,
            bindGroups: 0,
            pipelines: 0,
            shaderModules: 0,
          });
          // 2 layers of at most 8, besides embedding, head and sampler.
          expect(dispatches).toBeGreaterThan(10);
          expect(dispatches).toBeLessThan(25);
          const after = await engine.stats();
          expect(after).toMatchObject({ memory, pipelines });
          expect(after.totals.steps - totals.steps).toBe(TOKENS);
        }
        for (const creator of creators) expect(creator).not.toHaveBeenCalled();
        await engine.dispose();
      },
    );

    it('takes memory in proportion to its context, and no more while it runs', async () => {
      const lengths = [512, 1024, 2048, 4096];
      const memories = [];
      for (const contextLength of lengths) {
        const engine = await Engine.load(longModel(), {
          gpu: gpu(),
          selfTest: 'never',
          contextLength,
          maxSequences: 2,
        });
        const { memory, kvCache } = await engine.stats();
        memories.push(memory);
        expect(kvCache.pages * kvCache.pageSize).toBe(2 * contextLength);
        expect(memory.total).toBe(
          memory.weights + memory.kv + memory.scratch + memory.state + memory.readback,
        );
        if (contextLength === 4096) {
          const prompt = Array.from({ length: 1000 }, (_, i) => 3 + ((i * i) % 90));
          const { usage } = await engine.completions.create({ prompt, max_tokens: 8 });
          expect(usage).toMatchObject({ prompt_tokens: 1000, completion_tokens: 8 });
          expect((await engine.stats()).memory).toEqual(memory);
        }
        await engine.dispose();
      }
      for (const [i, { kv, weights, total }] of memories.entries()) {
        expect(kv / (lengths[i] ?? 0)).toBe((memories[0]?.kv ?? 0) / 512);
        expect(weights).toBe(memories[0]?.weights);
        const [half, quarter] = [memories[i - 1], memories[i - 2]];
        if (half === undefined || quarter === undefined) continue;
        // Twice the tokens, twice the growth; a table of every token with every other would make it four times.
        const growth = (total - half.total) / (half.total - quarter.total);
        expect(growth).toBeCloseTo(2, 1);
      }
    });
  },
  ONE_ADAPTER,
);
