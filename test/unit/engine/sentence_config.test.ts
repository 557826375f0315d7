import { describe, expect, it } from 'vitest';
import { readSentenceConfig } from '../../../src/engine/sentence_config.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { memorySource } from '../../support/memory_source.ts';

/** A repository with modules of these kinds; the second one is the pooling. */
function repository(
  kinds: readonly string[],
  pooling: object = { pooling_mode_mean_tokens: true },
  sentence?: object,
) {
  const modules = kinds.map((kind, idx) => ({
    idx,
    path: idx === 0 ? '' : `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));
  return memorySource({
    'modules.json': JSON.stringify(modules),
    '1_Pooling/config.json': JSON.stringify(pooling),
    ...(sentence && { 'sentence_bert_config.json': JSON.stringify(sentence) }),
  });
}

const FLAGS = {
  word_embedding_dimension: 384,
  pooling_mode_cls_token: false,
  pooling_mode_max_tokens: false,
  pooling_mode_mean_sqrt_len_tokens: false,
  include_prompt: true,
};
const PLAIN = ['Transformer', 'Pooling'];

describe('readSentenceConfig', () => {
  it.each([
    ['mean', { ...FLAGS, pooling_mode_mean_tokens: true }, { pooling: 'mean' }],
    ['first', { ...FLAGS, pooling_mode_cls_token: true }, { pooling: 'first' }],
    ['by name', { pooling_mode: 'cls' }, { pooling: 'first' }],
    [
      'another pooling',
      { pooling_mode_mean_sqrt_len_tokens: true },
      { unsupported: '1_Pooling/config.json asks for pooling by mean_sqrt_len' },
    ],
    [
      'two poolings',
      { pooling_mode_cls_token: true, pooling_mode_max_tokens: true },
      { unsupported: '1_Pooling/config.json asks for pooling by cls and max' },
    ],
    ['none', FLAGS, { unsupported: '1_Pooling/config.json asks for pooling by nothing' }],
    ['a name of Object', { pooling_mode: 'toString' }, { unsupported: expect.any(String) }],
  ])('reads the pooling: %s', async (_, pooling, expected) => {
    expect(await readSentenceConfig(repository(PLAIN, pooling))).toEqual({
      normalize: false,
      ...expected,
    });
  });

  it('reads the other modules', async () => {
    expect(await readSentenceConfig(memorySource({}))).toBeUndefined();
    expect(await readSentenceConfig(repository(['Transformer']))).toEqual({ normalize: false });
    expect(await readSentenceConfig(repository([...PLAIN, 'Normalize']))).toEqual({
      pooling: 'mean',
      normalize: true,
    });
    expect(await readSentenceConfig(repository([...PLAIN, 'Dense', 'Normalize']))).toEqual({
      normalize: true,
      unsupported: 'modules.json lists a module Dense',
    });
  });

  it.each([
    [undefined, 'nothing'],
    ['../1_Pooling', '"../1_Pooling"'],
    ['/etc', '"/etc"'],
  ])('says where a pooling has no folder of the repository: %s', async (path, found) => {
    const modules = JSON.stringify([{ type: 'sentence_transformers.models.Pooling', path }]);
    await expect(readSentenceConfig(memorySource({ 'modules.json': modules }))).rejects.toThrow(
      `modules.json: the path of the pooling is ${found}, expected the name of a folder`,
    );
  });

  it('reads the longest text', async () => {
    const read = (sentence: object) =>
      readSentenceConfig(repository(PLAIN, undefined, sentence)).then(
        (config) => config?.maxTokens,
      );
    expect(await read({ max_seq_length: 256 })).toBe(256);
    expect(await read({ max_seq_length: null })).toBeUndefined();
    await expect(read({ max_seq_length: 'all' })).rejects.toThrow(
      'sentence_bert_config.json: "max_seq_length" is "all", expected an integer from 1',
    );
  });

  it.each([
    [{ 'modules.json': '{' }, 'modules.json: is not JSON'],
    [{ 'modules.json': '[3]' }, 'modules.json: found an array, expected a list of modules'],
    [
      { 'modules.json': '[{"type": "a.Pooling", "path": "1"}]' },
      '1/config.json: found nothing, expected the options of a pooling; modules.json lists it',
    ],
    [
      { 'modules.json': '[]', 'sentence_bert_config.json': '3' },
      'sentence_bert_config.json: found 3, expected an object',
    ],
  ])('reports what is damaged: %j', async (files, message) => {
    const reading = readSentenceConfig(memorySource(files));
    await expect(reading).rejects.toThrow(ConfigError);
    await expect(reading).rejects.toThrow(message);
  });
});
