import { expect, it } from 'vitest';
import type { Recorder } from '../../src/gpu/recorder.ts';
import { createKvLayer } from '../../src/kernels/kv_cache.ts';
import { appendKv } from '../../src/kernels/rope_append.ts';
import { crossAttention, pagedAttention } from '../../src/nn/attention.ts';
import type { Step } from '../../src/nn/step.ts';
import { placeStep } from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, runOp, upload } from '../support/run_op.ts';

const [heads, headDim, pageSize] = [5, 6, 16];
const width = heads * headDim;
const sequences = [1, 20, 35].map((length) => ({ queries: length, keys: length }));
const T = 56;

describeOnAdapters('cross-attention of a layer', (open) => {
  it("sees in its own text what attention to both sides sees, in the same layer's pages", async () => {
    const device = await open();
    const layout = { sequences, pageSize, tileRows: 128, group: 1, sees: 'around' } as const;
    const own = placeStep(device, { ...layout, isConsecutive: true });
    const kv = createKvLayer(device, 2 * own.pages, {
      kvHeads: heads,
      headDim,
      pageSize,
      dtype: 'f32',
    });
    // The pages after those of the text itself.
    const cross = placeStep(device, { ...layout, firstPage: own.pages });
    const parts = [1, 2, 3].map((seed) => random(T * width, seed));
    const rows = (...columns: readonly Float32Array[]): Float32Array =>
      Float32Array.from({ length: T * width * columns.length }, (_, i) => {
        const [t, rest] = [Math.floor(i / (width * columns.length)), i % (width * columns.length)];
        return columns[Math.floor(rest / width)]?.[t * width + (rest % width)] ?? Number.NaN;
      });
    const { tokens, decodes, tiles } = own;
    const counts = { tokens, decodes, tiles, splits: 1 };
    const { around, other } = await runOp(device, counts, (r) => {
      const input = (...columns: readonly Float32Array[]) => ({
        ...r.tensor(upload(device, 'f32', [T, width * columns.length], rows(...columns))),
        shape: [{ count: 'tokens', capacity: T }, width * columns.length] as const,
      });
      const step: Step = { ...stepOf(r, own.state), kv: () => kv, cross: cross.state };
      const config = { heads, kvHeads: heads, headDim, rotaryDim: 0, window: undefined };
      const around = pagedAttention({ ...config, causal: false, scale: 1 }, 0)(
        input(...parts),
        step,
      );
      const [q, k, v] = parts;
      if (q === undefined || k === undefined || v === undefined) throw new Error('three parts');
      appendKv(input(k, v), cross.state, kv);
      const other = crossAttention({ heads, headDim, scale: 1 }, 0)(input(q), step);
      return { around, other };
    });
    expect(other.f32).toEqual(around.f32);
    expect(Math.max(...other.f32)).toBeGreaterThan(0.1);
  });

  it('needs a step that has an encoder', async () => {
    const device = await open();
    const { state } = placeStep(device, { sequences, pageSize, tileRows: 128, group: 1 });
    await runOp(device, {}, (r) => {
      const q = r.tensor(upload(device, 'f32', [T, width], new Float32Array(T * width)));
      const attend = crossAttention({ heads, headDim }, 0);
      expect(() => attend(q, stepOf(r, state))).toThrow(/has no `cross`/);
      return { q };
    });
  });
});

/** A step that has what attention reads. */
function stepOf(r: Recorder, attention: Step['attention']): Step {
  const ids = r.tensor(attention.positions);
  return {
    tokens: ids,
    lastTokens: ids,
    positionIds: ids,
    sampleRows: ids,
    rotary: [],
    attention,
    kv: () => {
      throw new Error('no pages');
    },
    tap: (_, value) => value,
  };
}
