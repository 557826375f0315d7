import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { RequestError, TokenizerError } from '../../../src/util/errors.ts';
import { NO_TEST_DATA, readTokenizerFolder, testDataFolders } from '../../support/test_data.ts';
import { tokenizerJson } from './tiny_tokenizers.ts';

const TINYCHAT = 'weights/tinychat';

interface Reference {
  readonly prompts: readonly {
    readonly messages: readonly unknown[];
    readonly prompt: string;
    readonly input_ids: readonly number[];
    readonly greedy_ids: readonly number[];
    readonly greedy_text: string;
  }[];
}

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
}

const letters = tokenizerJson(['a', 'b']);

describe('bundled tokenizer', () => {
  const tokenizer = createTokenizer(readTokenizerFolder(TINYCHAT));
  const { prompts }: Reference = JSON.parse(readFileSync(join(TINYCHAT, 'reference.json'), 'utf8'));

  it.each(prompts)('agrees with the reference: $prompt', (reference) => {
    expect(tokenizer.renderChat(reference.messages)).toBe(reference.prompt);
    expect(tokenizer.encode(reference.prompt, { addSpecialTokens: false })).toEqual(
      reference.input_ids,
    );
    expect(tokenizer.decode(reference.greedy_ids)).toBe(reference.greedy_text);
  });

  it('adds BOS to plain text, once', () => {
    const bare = tokenizer.encode('Hello there', { addSpecialTokens: false });
    expect(tokenizer.encode('Hello there')).toEqual([1, ...bare]);
    expect(tokenizer.encode('')).toEqual([1]);
    expect(tokenizer.encode('', { addSpecialTokens: false })).toEqual([]);
  });

  it('knows its special tokens', () => {
    expect(tokenizer.specialTokens).toEqual({
      bos: { text: '<s>', id: 1 },
      eos: { text: '</s>', id: 2 },
      unk: { text: '<unk>', id: 0 },
      pad: { text: '</s>', id: 2 },
    });
    expect(tokenizer.vocabSize).toBe(4096);
    expect(tokenizer.decode([1, 3, 2])).toBe('');
    expect(tokenizer.decode([1, 3, 2], { skipSpecialTokens: false })).toBe('<s><|user|></s>');
  });

  it('returns any text it has encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('shows a token by itself', () => {
    const euro = tokenizer.encode('€', { addSpecialTokens: false }).slice(-3);
    expect(euro.map((id) => [...tokenizer.tokenBytes(id)])).toEqual([[0xe2], [0x82], [0xac]]);
    expect(euro.map((id) => tokenizer.tokenText(id))).toEqual(['\uFFFD', '\uFFFD', '\uFFFD']);
    const the = tokenizer.tokenToId('▁the') ?? -1;
    expect(tokenizer.tokenText(the)).toBe(' the');
    expect(tokenizer.idToToken(the)).toBe('▁the');
    expect(tokenizer.tokenText(1)).toBe('<s>');
    expect([tokenizer.tokenText(4096), tokenizer.idToToken(-1)]).toEqual(['', undefined]);
    expect([...tokenizer.tokenBytes(4096)]).toEqual([]);
  });
});

function encode(config: Record<string, unknown>, json: unknown = letters): number[] {
  return createTokenizer({ tokenizerJson: json, tokenizerConfig: config }).encode('ab');
}

describe('special tokens round a text', () => {
  const llama = { tokenizer_class: 'LlamaTokenizer', bos_token: '<s>', eos_token: '</s>' };

  it.each([
    ['BOS by default', llama, [1, 3, 4]],
    ['no BOS when told so', { ...llama, add_bos_token: false }, [3, 4]],
    ['EOS when told so', { ...llama, add_eos_token: true }, [1, 3, 4, 2]],
    ['tokens saved as objects', { ...llama, bos_token: { content: '<s>' } }, [1, 3, 4]],
    [
      'a class whose flag is off by default',
      { ...llama, tokenizer_class: 'GPTNeoXTokenizerFast' },
      [3, 4],
    ],
    ['no BOS outside the vocabulary', { ...llama, bos_token: '<bos>' }, [3, 4]],
    [
      'classes that leave it to tokenizer.json',
      { ...llama, tokenizer_class: 'Qwen2Tokenizer', add_bos_token: true },
      [3, 4],
    ],
    ['no configuration', {}, [3, 4]],
  ])('%s', (_, config, expected) => {
    expect(encode(config)).toEqual(expected);
  });

  it('replaces the post-processor of tokenizer.json by the flags of a Llama class, and only there', () => {
    const eos = { SpecialToken: { id: '</s>', type_id: 0 } };
    const text = { Sequence: { id: 'A', type_id: 0 } };
    const json = {
      ...letters,
      post_processor: { type: 'TemplateProcessing', single: [text, eos], pair: [] },
    };
    expect(encode({}, json)).toEqual([3, 4, 2]);
    expect(encode({ ...llama, tokenizer_class: 'PreTrainedTokenizerFast' }, json)).toEqual([
      3, 4, 2,
    ]);
    expect(encode(llama, json)).toEqual([1, 3, 4]);
  });

  it('takes them from special_tokens_map.json where tokenizer_config.json is silent', () => {
    const tokenizer = createTokenizer({
      tokenizerJson: letters,
      tokenizerConfig: { eos_token: '</s>', pad_token: null },
      specialTokensMap: { eos_token: 'b', bos_token: { content: '<s>' }, pad_token: '<pad>' },
    });
    expect(tokenizer.specialTokens).toEqual({
      eos: { text: '</s>', id: 2 },
      bos: { text: '<s>', id: 1 },
      pad: { text: '<pad>', id: undefined },
    });
  });

  it('skips additional_special_tokens', () => {
    const tokenizerConfig = { additional_special_tokens: ['<tool>', { content: 'b' }] };
    const tokenizer = createTokenizer({ tokenizerJson: letters, tokenizerConfig });
    expect(tokenizer.decode([3, 4, 5])).toBe('a');
    expect(createTokenizer({ tokenizerJson: letters }).decode([3, 4, 5])).toBe('a b <tool>');
  });
});

describe('bad input', () => {
  const { model } = letters;

  it.each([
    [undefined, 'tokenizer.json: found nothing, expected the tokenizer of the model'],
    [[], 'tokenizer.json: the file is an empty array, expected an object'],
    ['BPE', 'tokenizer.json: the file is "BPE", expected an object'],
    [{}, 'tokenizer.json: "model" is nothing, expected an object'],
    [{ model: { type: 'BPE' } }, 'tokenizer.json: "model.vocab" is nothing'],
    [
      { model: { ...model, type: 'WordLevel' } },
      '"WordLevel", expected one of BPE, Unigram, WordPiece',
    ],
    [{ model: { vocab: {} } }, '"model.type" is nothing, expected one of BPE, Unigram, WordPiece'],
    [{ model, added_tokens: {} }, '"added_tokens" is an object, expected a list'],
    [{ model, added_tokens: [{ id: -1, content: 'x' }] }, '"added_tokens[0]" is an object'],
    [{ model, decoder: { type: 'Rot13' } }, 'tokenizer.json: Unknown Decoder type: Rot13'],
    [{ model, normalizer: { type: 'Rot13' } }, 'tokenizer.json: Unknown Normalizer type: Rot13'],
    [{ model: { ...model, merges: 3 } }, 'tokenizer.json: '],
  ])('names what is wrong with %j', (json, message) => {
    expect(() => createTokenizer({ tokenizerJson: json })).toThrow(TokenizerError);
    expect(() => createTokenizer({ tokenizerJson: json })).toThrow(message);
  });

  it('chains the cause', () => {
    const tokenizerJson = { model, decoder: { type: 'Rot13' } };
    expect(() => createTokenizer({ tokenizerJson })).toThrow(
      expect.objectContaining({ cause: expect.any(Error) }),
    );
  });

  it('refuses configurations that are no objects', () => {
    const files = { tokenizerJson: letters, tokenizerConfig: [1] };
    expect(() => createTokenizer(files)).toThrow(
      'tokenizer_config.json: found an array, expected an object',
    );
    expect(() => createTokenizer(files)).toThrow(TokenizerError);
  });

  it('refuses ids that are none, and text that is none', () => {
    const tokenizer = createTokenizer({ tokenizerJson: letters });
    expect(() => tokenizer.decode([3, -1])).toThrow(RequestError);
    expect(() => tokenizer.decode([3, 1.5])).toThrow('decode: ids[1] is 1.5');
    expect(() => tokenizer.encode(Object(3))).toThrow(RequestError);
  });

  it('builds, or reports a TokenizerError, whatever is in the file', () => {
    const paths = [
      'model',
      'decoder',
      'normalizer',
      'pre_tokenizer',
      'post_processor',
      'added_tokens',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (key, value) => {
        try {
          const tokenizer = createTokenizer({ tokenizerJson: { ...letters, [key]: value } });
          tokenizer.decode(tokenizer.encode('ab <tool>'));
        } catch (error) {
          expect(error).toBeInstanceOf(TokenizerError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('files of before 2020, without a model type', () => {
  it.each([
    [
      'Unigram',
      {
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['a', -1],
          ['b', -1],
        ],
      },
      [1, 2],
    ],
    ['BPE', { vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] }, [2]],
    [
      'WordPiece',
      {
        vocab: { '[UNK]': 0, a: 1, '##b': 2 },
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
      },
      [1, 2],
    ],
  ])('reads %s', (_, model, expected) => {
    expect(createTokenizer({ tokenizerJson: { model } }).encode('ab')).toEqual(expected);
  });
});

describe('reference ids', () => {
  const folders = testDataFolders('cases.json');
  if (folders.length === 0) it('real tokenizers', (ctx) => ctx.skip(NO_TEST_DATA));
  it.each(folders.map((folder) => [basename(folder), folder]))(
    'encodes as the original does: %s',
    { timeout: 60_000 },
    (_, folder) => {
      const tokenizer = createTokenizer(readTokenizerFolder(folder));
      const cases: Case[] = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8'));
      expect(cases.length).toBeGreaterThan(0);
      for (const { text, ids } of cases) {
        expect(tokenizer.encode(text, { addSpecialTokens: false }), text).toEqual(ids);
      }
    },
  );
});
