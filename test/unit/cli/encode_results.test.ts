import { describe, expect, it } from 'vitest';
import {
  bestSpan,
  chooseTask,
  describeReading,
  placeOf,
  readEncoding,
} from '../../../src/cli/encode_results.ts';
import type { Encoding } from '../../../src/engine/encoder_api.ts';
import { ConfigReader } from '../../../src/models/config.ts';

const TRUNK = ['last_hidden_state', 'pooler_output'];

/** What `stats` says of an encoder with a head. */
const headed = (outputs: readonly string[], labels?: readonly string[]) => ({
  outputs: [...TRUNK, ...outputs],
  defaults: { normalize: false, outputs, maxTokens: 9 },
  ...(labels !== undefined && { labels }),
});

const config = (name: string, rest: object = {}): ConfigReader =>
  new ConfigReader({ model_type: 'bert', architectures: [`Bert${name}`], ...rest });

/** Letters: id 0 is a. */
const letters = {
  tokenize: async (text: string) => Array.from(text, (letter) => (letter.codePointAt(0) ?? 0) - 97),
  detokenize: async (ids: readonly number[]) =>
    ids.map((id) => String.fromCodePoint(97 + id)).join(''),
};

const rows = (...values: readonly (readonly number[])[]) => ({
  data: new Float32Array(values.flat()),
  rows: values.length,
  size: values[0]?.length ?? 0,
});

describe('what an encoder is asked for', () => {
  it.each([
    ['Model', { ...headed([]), defaults: { normalize: false, outputs: ['last_hidden_state'] } }],
    ['ForMaskedLM', { ...headed(['logits']), defaults: { pooling: 'first', outputs: [] } }],
  ] as const)('is a vector of %s where it is made for that', (name, model) => {
    const defaults = { normalize: true, maxTokens: 9, ...model.defaults };
    const task = chooseTask({ ...model, defaults }, config(name), {});
    expect(task.kind).toBe('vector');
    expect(task.options.pooling).toBe('pooling' in model.defaults ? undefined : 'mean');
  });

  it.each([
    ['ForMaskedLM', ['logits'], undefined, 'guesses'],
    ['ForPreTraining', ['prediction_logits', 'seq_relationship_logits'], undefined, 'guesses'],
    ['ForQuestionAnswering', ['start_logits', 'end_logits'], undefined, 'answer'],
    ['ForSequenceClassification', ['logits'], ['yes', 'no'], 'labels'],
    ['ForTokenClassification', ['logits'], ['yes', 'no'], 'tokenLabels'],
    ['ForNextSentencePrediction', ['logits'], undefined, 'numbers'],
  ] as const)('follows the head: %s', (name, outputs, labels, kind) => {
    const model = headed(outputs, labels);
    expect(chooseTask(model, config(name), {}).kind).toBe(kind);
    const asked = chooseTask(model, config(name), { pooling: 'first', truncate: true });
    expect(asked).toMatchObject({
      kind: 'vector',
      options: { pooling: 'first', truncate: true },
    });
  });
});

describe('what its outputs mean', () => {
  const read = (
    name: string,
    outputs: Encoding['outputs'],
    {
      labels,
      rest,
      pair,
      ids = [0, 1],
    }: { labels?: string[]; rest?: object; pair?: string; ids?: number[] },
  ) => {
    const task = chooseTask(headed(Object.keys(outputs), labels), config(name, rest), {});
    const input = { text: 'ab', ...(pair !== undefined && { pair }) };
    return readEncoding(letters, input, { ids, outputs, positions: [1] }, task);
  };

  it.each([
    [
      {},
      [
        ['c', 0.5],
        ['a', 0.25],
        ['b', 0.25],
      ],
    ],
    [
      { problem_type: 'multi_label_classification' },
      [
        ['c', 2 / 3],
        ['a', 0.5],
        ['b', 0.5],
      ],
    ],
    [
      { problem_type: 'regression' },
      [
        ['c', Math.LN2],
        ['a', 0],
        ['b', 0],
      ],
    ],
  ] as const)('labels: %j', async (rest, expected) => {
    const labels = ['a', 'b', 'c'];
    const outputs = { logits: rows([0, 0, Math.LN2]) };
    const reading = await read('ForSequenceClassification', outputs, { labels, rest });
    expect(reading.labels).toEqual(
      expected.map(([label, value]) => ({ label, probability: expect.closeTo(value, 6) })),
    );
    expect(describeReading(reading)).toMatch(/^c +0\.[567]\d*\na /);
  });

  it('one label: a probability of its own', async () => {
    const outputs = { logits: rows([0]) };
    const reading = await read('ForSequenceClassification', outputs, { labels: ['fits'] });
    expect(reading.labels).toEqual([{ label: 'fits', probability: 0.5 }]);
  });

  it('labels of tokens, and guesses beside other numbers', async () => {
    const logits = rows([0, 9], [9, 0]);
    const tokens = await read('ForTokenClassification', { logits }, { labels: ['O', 'NAME'] });
    expect(describeReading(tokens)).toBe('"a"  NAME  0.9999\n"b"     O  0.9999\n');

    const outputs = { prediction_logits: rows([0, 9, 3]), sop_logits: rows([1, 2]) };
    const reading = await read('ForPreTraining', outputs, {});
    expect(reading.masks).toMatchObject([
      { position: 1, guesses: [{ id: 1, text: 'b' }, { text: 'c' }, { text: 'a' }] },
    ]);
    expect(reading.outputs).toEqual({ sop_logits: [[1, 2]] });
    const none = await read('ForMaskedLM', { logits: { ...rows(), size: 3 } }, {});
    expect(describeReading(none)).toBe('there is no mask token in the text\n');
  });

  it('an answer within the second text', async () => {
    const start = rows([9], [9], [0], [0], [5], [0], [0]);
    const end = rows([9], [9], [0], [5], [0], [4], [9]);
    const outputs = { start_logits: start, end_logits: end };
    const ids = [25, 0, 25, 1, 0, 2, 25]; // z a z b a c z
    const reading = await read('ForQuestionAnswering', outputs, { pair: 'bac', ids });
    expect(reading.answer).toMatchObject({ text: 'ac', start: 4, end: 5 });
    const { probability = 0 } = reading.answer ?? {};
    expect(probability).toBeGreaterThan(0.2);
    expect(probability).toBeLessThan(0.3);
  });
});

describe('spans', () => {
  it('are found in the last place, also when cut off', () => {
    expect(placeOf([1, 2], [9, 1, 2, 9, 1, 2, 9])).toEqual([4, 6]);
    expect(placeOf([1, 2, 3, 4], [9, 1, 2, 9, 1, 2, 3, 9])).toEqual([4, 7]);
  });

  it('end after they begin, and not too late', () => {
    const logits = (length: number, at: number): number[] =>
      Array.from({ length }, (_, i) => (i === at ? 20 : 0));
    expect(bestSpan(logits(30, 2), logits(30, 9), [0, 30])).toMatchObject({ start: 2, end: 9 });
    const backwards = bestSpan(logits(30, 9), logits(30, 2), [0, 30]);
    expect(backwards.end).toBeGreaterThanOrEqual(backwards.start);
    const tooLong = bestSpan(logits(30, 2), logits(30, 28), [0, 30]);
    expect(tooLong.end - tooLong.start).toBeLessThan(15);
    expect(bestSpan([], [], [0, 0])).toEqual({ start: 0, end: -1, probability: 0 });
  });
});
