/** Attention's kernels chosen by measurement, each rehearsed beside the oracle. */
import { expect, it } from 'vitest';
import { Tuner } from '../../../src/engine/tuner.ts';
import type { Device } from '../../../src/gpu/device.ts';
import { openDevice } from '../../../src/gpu/open_device.ts';
import { Recorder, type Decision } from '../../../src/gpu/recorder.ts';
import { StateBuffer } from '../../../src/gpu/state_buffer.ts';
import type { Tensor } from '../../../src/gpu/tensor.ts';
import { attention, chooseAttention } from '../../../src/kernels/attention.ts';
import { manyCandidates } from '../../../src/kernels/attention_many.ts';
import { oneCandidates } from '../../../src/kernels/attention_one.ts';
import type { KvDType } from '../../../src/kernels/kv_cache.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { upload } from '../../support/run_op.ts';

const SHAPE = { heads: 6, kvHeads: 2, headDim: 8 } as const;
const [ONE, MANY] = ['one query', 'many queries'] as const;

/**
 * Records two layers of attention: as decoders have it, or as encoders, with a bias.
 *
 * @returns what there was to choose from
 */
function recordLayers(
  device: Device,
  { dtype, isEncoder = false }: { readonly dtype: KvDType; readonly isEncoder?: boolean },
): ReadonlyMap<string, Decision> {
  const { heads, kvHeads, headDim } = SHAPE;
  const { counts } = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } }).regions;
  const recorder = new Recorder(device, counts.tensor);
  const words = (...shape: readonly number[]): Tensor =>
    recorder.tensor(upload(device, 'u32', shape, new Uint32Array(shape.reduce((a, b) => a * b))));
  const state = {
    positions: words(8),
    sequenceOf: words(8),
    sequences: words(4, 4),
    tables: isEncoder ? undefined : words(4, 40),
    tiles: words(3, 2),
  };
  const table = upload(device, 'f32', [7, heads], new Float32Array(7 * heads).map(Math.cos));
  const encoding = { causal: false, maxSplits: 1, bias: { table, reach: 3 } };
  const options = { heads, scale: 0.25, ...(isEncoder && encoding) };
  const kv = { kvHeads, headDim, pageSize: 16, dtype, pages: 1, keys: words(1), values: words(1) };
  for (let layer = 0; layer < 2; layer += 1) {
    const queries = recorder.workspace('f32', [{ count: 'tokens', capacity: 8 }, heads * headDim]);
    attention(queries, state, kv, options);
  }
  return device.decisions;
}

describeOnGpus('tuning of attention', (gpu) => {
  it('measures every variant, remembers the fastest, and frees what that took', async () => {
    const device = await openDevice(gpu());
    const decisions = recordLayers(device, { dtype: 'f16' });
    const shape = { ...SHAPE, kv: 'f16' } as const;
    if (chooseAttention(device.facts, shape) === 'direct') {
      expect(decisions.size).toBe(0);
      device.dispose();
      return;
    }
    const key = (mode: string): string => `attention f16 6/2 heads of 8, ${mode}`;
    expect([...decisions.keys()]).toEqual([key(ONE), key(MANY)]);
    const candidates = {
      [key(ONE)]: oneCandidates(device.facts),
      [key(MANY)]: manyCandidates(device.facts, shape),
    };
    for (const [name, decision] of decisions) {
      expect(decision.candidates).toEqual(candidates[name]);
      expect(decision.rehearsals).toHaveLength(2);
    }

    const before = device.memory.report();
    const tuner = new Tuner({ mode: 'always', budgetMs: 60_000 });
    await tuner.run(device);
    expect(device.memory.report()).toEqual(before);
    expect(tuner.report.status).toBe('complete');
    const { chosen } = tuner.report;
    for (const [name, names] of Object.entries(candidates)) expect(names).toContain(chosen[name]);
    expect(chooseAttention(device.facts, shape)).toEqual({
      one: chosen[key(ONE)],
      many: chosen[key(MANY)],
    });
    device.dispose();
  });

  it.for([
    { dtype: 'f16', keys: [ONE, MANY] },
    // Nothing cuts keys there, so there is nothing to choose for texts of one token.
    { dtype: 'q8', isEncoder: true, keys: [`with bias, ${MANY}`] },
  ] as const)('has the kernels agree: %j', async ({ keys, ...how }, { skip }) => {
    const device = await openDevice(gpu());
    const decisions = [...recordLayers(device, how)];
    if (device.facts.hasSlowBarriers) {
      device.dispose();
      skip('there is one kernel for an adapter without fast barriers');
    }
    expect(decisions.map(([key]) => key.replace(/^.*heads of 8,? /, ''))).toEqual(keys);
    device.decisions.clear();
    const expected: Record<string, string> = {};
    const recorder = new Recorder(
      device,
      new StateBuffer(device, {
        counts: { dtype: 'u32', shape: [8] },
      }).regions.counts.tensor,
    );
    for (const [key, { candidates, ...decision }] of decisions) {
      const [fast = ''] = candidates;
      expected[key] = fast;
      recorder.decide(key, {
        ...decision,
        // The oracle many times over, so that the other is faster, but not taken unless it agrees.
        candidates: ['direct', fast],
        rehearsals: decision.rehearsals.map((rehearse) => (r, name, hold) => {
          const rehearsed = rehearse(r, name, hold);
          if (name === 'direct') for (let i = 0; i < 8; i += 1) rehearse(r, name, hold);
          return rehearsed;
        }),
      });
    }
    const tuner = new Tuner({ mode: 'always', budgetMs: 60_000 });
    await tuner.run(device);
    expect(tuner.report).toMatchObject({ chosen: expected });
    device.dispose();
  });
});
