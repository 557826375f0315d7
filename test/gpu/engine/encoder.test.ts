/** What an encoder gives, whatever it is given together. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encoder, type Encoding, type LocalEncoderOptions } from '../../../src/index.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyEncoder } from '../../support/tiny_encoder.ts';

/** Of numbers that are computed in two ways. */
const TOLERANCE = 1e-5;

/** Largest difference, relative to the largest number. */
function difference(actual: Float32Array | undefined, expected: Float32Array | undefined): number {
  if (actual === undefined || actual.length !== expected?.length) return NaN;
  const most = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-30);
  return (
    actual.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? NaN))), 0) /
    most
  );
}

function expectClose(actual: Encoding | undefined, expected: Encoding | undefined): void {
  if (actual === undefined || expected === undefined) throw new Error('there is no encoding');
  expect(actual.ids).toEqual(expected.ids);
  expect(actual.positions).toEqual(expected.positions);
  expect(Object.keys(actual.outputs)).toEqual(Object.keys(expected.outputs));
  if (expected.vector !== undefined) {
    expect(difference(actual.vector, expected.vector)).toBeLessThan(TOLERANCE);
  }
  for (const [name, { data, rows, size }] of Object.entries(expected.outputs)) {
    const output = actual.outputs[name];
    expect(output).toMatchObject({ rows, size });
    if (rows > 0) expect(difference(output?.data, data), name).toBeLessThan(TOLERANCE);
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

describeOnGpus('an encoder', (gpu) => {
  const load = (fixture: string, options: LocalEncoderOptions = {}, changes = {}) =>
    Encoder.load(tinyEncoder(fixture, changes), { gpu: gpu(), selfTest: 'never', ...options });

  describe('of texts', () => {
    let encoder: Encoder;
    beforeAll(async () => {
      encoder = await load('bert-mlm');
    });
    afterAll(() => encoder?.dispose());

    it('gives for a text what it gives for its ids', async () => {
      const texts = ['a b c', '', { text: 'a [MASK]', pair: 'b c' }];
      const ids = [
        { ids: [2, 5, 6, 7, 3] },
        { ids: [2, 3] },
        { ids: [2, 5, 4, 3, 6, 7, 3], typeIds: [0, 0, 0, 0, 1, 1, 1] },
      ];
      const options = { outputs: ['last_hidden_state', 'logits'], pooling: 'mean' } as const;
      const [fromTexts, fromIds] = await Promise.all([
        encoder.encode(texts, options),
        encoder.encode(ids, options),
      ]);
      expect(fromTexts).toHaveLength(3);
      for (const [i, encoding] of fromTexts.entries()) expectClose(encoding, fromIds[i]);
      expect(await encoder.tokenize('a b c')).toEqual([2, 5, 6, 7, 3]);
      expect(await encoder.detokenize([2, 5, 6, 3])).toBe('a b');
      const untyped = await encoder.encode({ ids: [2, 5, 4, 3, 6, 7, 3] }, options);
      expect(difference(untyped.vector, fromIds[2]?.vector)).toBeGreaterThan(0.01);
    });

    it('gives one encoding for one text, and a list for a list', async () => {
      const one = await encoder.encode('a b');
      expect(one.ids).toEqual([2, 5, 6, 3]);
      expect(Object.keys(one.outputs)).toEqual(['logits']);
      expect(one.vector).toBeUndefined();
      expect(one.outputs['logits']).toMatchObject({ rows: 4, size: 96 });
      const [first, ...others] = await encoder.encode(['a b']);
      expect(others).toEqual([]);
      expectClose(first, one);
      expect(await encoder.encode([])).toEqual([]);
    });

    it('pools the rows of its tokens', async () => {
      const outputs = ['last_hidden_state'];
      const mean = await encoder.encode('a b c d', { outputs, pooling: 'mean' });
      const { data, rows, size } = mean.outputs['last_hidden_state'] ?? {
        data: [],
        rows: 0,
        size: 0,
      };
      const byHand = Float32Array.from({ length: size }, (_, column) => {
        let sum = 0;
        for (let row = 0; row < rows; row += 1) sum += data[row * size + column] ?? NaN;
        return sum / rows;
      });
      expect(difference(mean.vector, byHand)).toBeLessThan(TOLERANCE);
      const first = await encoder.encode('a b c d', { pooling: 'first', normalize: true });
      const firstRow = Float32Array.from(data.slice(0, size));
      const length = Math.hypot(...firstRow);
      expect(
        difference(
          first.vector,
          firstRow.map((value) => value / length),
        ),
      ).toBeLessThan(1e-5);
      expect(first.outputs).toEqual({});
    });

    it('gives only the rows of mask tokens where only these are asked for', async () => {
      const texts = ['[MASK] a [MASK]', 'a b', '[MASK]'];
      const whole = await encoder.encode(texts);
      const masked = await encoder.encode(texts, { rows: 'masked' });
      expect(masked.map(({ positions }) => positions)).toEqual([[1, 3], [], [1]]);
      for (const [i, { outputs, positions = [] }] of masked.entries()) {
        const all = whole[i]?.outputs['logits']?.data ?? new Float32Array();
        const rows = positions.flatMap((at) => Array.from(all.slice(at * 96, (at + 1) * 96)));
        expect(outputs['logits']).toMatchObject({ rows: positions.length, size: 96 });
        if (rows.length === 0) continue;
        expect(difference(outputs['logits']?.data, Float32Array.from(rows))).toBeLessThan(1e-5);
      }
      // None at all in a step.
      const none = await encoder.encode('a', { rows: 'masked' });
      expect(none.outputs['logits']).toEqual({ data: new Float32Array(), rows: 0, size: 96 });
    });

    it('cuts texts that are too long where asked to', async () => {
      const cut = await encoder.encode(
        ['a b c d', { text: 'a b c', pair: 'd' }, { ids: [2, 5, 6, 7, 8, 3] }],
        {
          maxTokens: 5,
          truncate: true,
        },
      );
      expect(cut.map(({ ids }) => ids)).toEqual([
        [2, 5, 6, 7, 3],
        [2, 5, 3, 8, 3],
        [2, 5, 6, 7, 8],
      ]);
      expectClose(cut[0], await encoder.encode('a b c'));
      const longest = { ids: Array.from({ length: 128 }, (_, i) => 5 + (i % 26)) };
      expect((await encoder.encode(longest)).outputs['logits']?.rows).toBe(128);
      const longer = await encoder.encode({ ids: [...longest.ids, 5] }, { truncate: true });
      expect(longer.ids).toEqual(longest.ids);
    });

    it('runs calls that ask for the same in the same step', async () => {
      const { totals } = await encoder.stats();
      await Promise.all(['a', 'b c', 'd'].map((text) => encoder.encode(text, { pooling: 'mean' })));
      const after = (await encoder.stats()).totals;
      expect(after.steps - totals.steps).toBe(1);
      expect(after.texts - totals.texts).toBe(3);
      expect(after.tokens - totals.tokens).toBe(3 + 4 + 3);
    });
  });

  it.each(['bert-mlm', 'bert-seqcls', 'mpnet', 'modernbert', 'deberta-v2', 't5-encoder'])(
    'gives for a text alone what it gives in any batch: %s',
    async (fixture) => {
      const roll = dice(fixture.length);
      const budgets = [1, 40, 4096];
      const encoders = await Promise.all(
        budgets.map((tokenBudget) => load(fixture, { tokenBudget, maxInFlight: 1 + roll(3) })),
      );
      const [alone] = encoders;
      if (alone === undefined) throw new Error('there is no encoder');
      const { vocab, outputs, maxTokens } = (await alone.stats()).model;
      const inputs = Array.from({ length: 12 }, (_, i) => {
        const most = [1, 2, 9, 40][roll(4)] ?? 1;
        const length = i === 0 ? 1 : i === 1 ? (maxTokens ?? 150) : 1 + roll(most);
        return { ids: Array.from({ length }, () => 2 + roll(vocab - 2)) };
      });
      const total = inputs.reduce((sum, { ids }) => sum + ids.length, 0);
      const options = { outputs, pooling: 'mean' } as const;
      const expected: Encoding[] = [];
      for (const input of inputs) expected.push(await alone.encode(input, options));
      for (const encoder of encoders) {
        const before = (await encoder.stats()).totals.tokens;
        const order = inputs.map((_, i) => ({ i, at: roll(1000) })).toSorted((a, b) => a.at - b.at);
        const together = await encoder.encode(
          order.map(({ i }) => inputs[i] ?? { ids: [] }),
          options,
        );
        // To the last bit: every step runs the kernels for many rows, which sum a row in one order.
        for (const [at, { i }] of order.entries()) expect(together[at]).toEqual(expected[i]);
        expect((await encoder.stats()).totals.tokens - before).toBe(total);
      }
      await Promise.all(encoders.map((encoder) => encoder.dispose()));
    },
  );

  it('gives columns of a head under their own names', async () => {
    const encoder = await load('bert-qa');
    const { model } = await encoder.stats();
    expect(model.outputs).toEqual(['last_hidden_state', 'start_logits', 'end_logits']);
    expect(model.defaults.outputs).toEqual(['start_logits', 'end_logits']);
    const input = { text: 'a b', pair: 'c' };
    const both = await encoder.encode(input);
    const { start_logits: start, end_logits: end } = both.outputs;
    expect([start?.rows, start?.size, end?.rows, end?.size]).toEqual([6, 1, 6, 1]);
    expect(difference(start?.data, end?.data)).toBeGreaterThan(0.01);
    const only = await encoder.encode(input, { outputs: ['end_logits'] });
    expect(only.outputs).toEqual({ end_logits: end });
    await encoder.dispose();
  });

  it('names the classes of its head, and has a pooler where the checkpoint has', async () => {
    const classifier = await load('bert-seqcls');
    const { labels = [] } = (await classifier.stats()).model;
    const { outputs } = await classifier.encode('a b');
    expect(labels.length).toBeGreaterThan(1);
    expect(outputs['logits']).toMatchObject({ rows: 1, size: labels.length });
    await classifier.dispose();
    const plain = await load('bert-base');
    const pooled = await plain.encode('a b', {
      pooling: 'pooler',
      normalize: true,
      outputs: ['pooler_output'],
    });
    expect(Math.hypot(...(pooled.vector ?? []))).toBeCloseTo(1, 5);
    expect(Math.hypot(...(pooled.outputs['pooler_output']?.data ?? []))).toBeGreaterThan(1.5);
    await plain.dispose();
  });

  it('does by default what a repository of sentence-transformers says', async () => {
    const modules = ['Transformer', 'Pooling', 'Normalize'].map((name, idx) => ({
      idx,
      path: name === 'Transformer' ? '' : `${idx}_${name}`,
      type: `sentence_transformers.models.${name}`,
    }));
    const encoder = await load(
      'bert-base',
      {},
      {
        'modules.json': JSON.stringify(modules),
        '1_Pooling/config.json': JSON.stringify({
          word_embedding_dimension: 64,
          pooling_mode_cls_token: false,
          pooling_mode_mean_tokens: true,
        }),
        'sentence_bert_config.json': JSON.stringify({ max_seq_length: 6, do_lower_case: false }),
      },
    );
    const { model } = await encoder.stats();
    expect(model.maxTokens).toBe(128);
    const defaults = { pooling: 'mean', normalize: true, outputs: [], maxTokens: 6 };
    expect(model.defaults).toEqual(defaults);
    const byDefault = await encoder.encode('a b c d');
    const asked = { pooling: 'mean', normalize: true } as const;
    expectClose(byDefault, await encoder.encode('a b c d', asked));
    expect(Math.hypot(...(byDefault.vector ?? []))).toBeCloseTo(1, 5);
    const plain = await encoder.encode('a', { normalize: false });
    expect(Math.hypot(...(plain.vector ?? []))).toBeGreaterThan(1.5);
    expect((await encoder.encode('a', { outputs: ['last_hidden_state'] })).vector).toBeUndefined();
    await expect(encoder.encode('a b c d e')).rejects.toThrow('has 7 tokens, expected at most 6');
    expect((await encoder.encode('a b c d e', { maxTokens: 7 })).ids).toHaveLength(7);
    await encoder.dispose();
  });
});
