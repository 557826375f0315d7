/** What goes round texts, and what is cut off them. The expected tokens are those of the Rust library, 0.23.2. */
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { RequestError, TokenizerError } from '../../../src/util/errors.ts';
import { bertTokenizerJson, template } from './tiny_tokenizers.ts';

const FLANKS = { sep: ['[SEP]', 3], cls: ['[CLS]', 2] };
const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true };
const BERT = template('[CLS]:0 $A:0 [SEP]:0', '[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1');

const INPUTS: readonly (readonly [text: string, pair?: string | undefined, maxTokens?: number])[] =
  [
    ['a b c'],
    [''],
    ['a b', 'c d'],
    ['a b', ''],
    ['a b c d e f', undefined, 4],
    ['a b c d e', 'f g h', 8],
    ['a b', 'c d e f g h', 8],
    ['a b c d', 'e f g h', 8],
  ];

const BERT_TOKENS = 'CabcS CS CabScdS CabSS CabS CabcSfgS CabScdeS CabSefgS';
const BERT_TYPES = '00000 00 0000111 00001 0000 00000111 00001111 00001111';
const PLAIN_TOKENS = 'abc  abcd ab abcd abcdefgh abcdefgh abcdefgh';
const PLAIN_TYPES = '000  0011 00 0000 00000111 00111111 00001111';

/** What the tokens of {@link INPUTS} are, C for `[CLS]` and S for `[SEP]`, and their types. */
const CASES: readonly (readonly [string, unknown, tokens: string, types: string])[] = [
  ['TemplateProcessing', BERT, BERT_TOKENS, BERT_TYPES],
  [
    'TemplateProcessing of T5',
    template('$A:0 [SEP]:0', '$A:0 [SEP]:0 $B:0 [SEP]:0'),
    'abcS S abScdS abSS abcS abcSfghS abScdefS abcSefgS',
    '0000 0 000000 0000 0000 00000000 00000000 00000000',
  ],
  ['BertProcessing', { type: 'BertProcessing', ...FLANKS }, BERT_TOKENS, BERT_TYPES],
  [
    'RobertaProcessing',
    { type: 'RobertaProcessing', ...FLANKS },
    'CabcS CS CabSScdS CabSSS CabS CabSSfgS CabSScdS CabSSefS',
    '00000 00 00000000 000000 0000 00000000 00000000 00000000',
  ],
  ['Sequence', { type: 'Sequence', processors: [BYTE_LEVEL, BERT] }, BERT_TOKENS, BERT_TYPES],
  ['ByteLevel', BYTE_LEVEL, PLAIN_TOKENS, PLAIN_TYPES],
  ['null', null, PLAIN_TOKENS, PLAIN_TYPES],
];

describe('encodePair', () => {
  it.each(CASES)('agrees with the reference: %s', (_, postProcessor, tokens, types) => {
    const tokenizer = createTokenizer({ tokenizerJson: bertTokenizerJson(postProcessor) });
    const spell = (id: number): string => (tokenizer.idToToken(id) ?? '?').replace(/\[(.).*/, '$1');
    const found = INPUTS.map((input) => tokenizer.encodePair(...input));
    expect(found.map(({ ids }) => ids.map(spell).join('')).join(' ')).toBe(tokens);
    expect(found.map(({ typeIds }) => typeIds.join('')).join(' ')).toBe(types);
    for (const [i, [text, pair]] of INPUTS.entries()) {
      const whole = tokenizer.encodePair(text, pair);
      expect(found[i]?.uncutLength).toBe(whole.ids.length);
      if (pair === undefined) expect(whole.ids).toEqual(tokenizer.encode(text));
    }
  });

  it('cuts the beginning off where the tokenizer is configured so', () => {
    const tokenizer = createTokenizer({
      tokenizerJson: bertTokenizerJson(),
      tokenizerConfig: { truncation_side: 'left' },
    });
    expect(tokenizer.encodePair('a b c', undefined, 4).ids).toEqual([2, 6, 7, 3]);
    expect(tokenizer.encodePair('a b c', undefined, 2).ids).toEqual([2, 3]);
  });

  it('says so where special tokens alone are too many', () => {
    const tokenizer = createTokenizer({ tokenizerJson: bertTokenizerJson() });
    expect(() => tokenizer.encodePair('a', 'b', 2)).toThrow(RequestError);
    expect(() => tokenizer.encodePair('a', 'b', 2)).toThrow(
      'encode: maxTokens is 2, expected at least the 3 special tokens round a text',
    );
  });

  it('knows the mask token of files that do not name it', () => {
    const tokenizerJson = bertTokenizerJson();
    expect(createTokenizer({ tokenizerJson }).maskId).toBe(4);
    const named = createTokenizer({ tokenizerJson, tokenizerConfig: { mask_token: 'a' } });
    expect(named.maskId).toBe(5);
  });
});

describe('a post-processor that is none', () => {
  it.each([
    [3, '"post_processor" is 3, expected an object'],
    [{ type: 'Rot13' }, '"post_processor.type" is "Rot13", expected one of TemplateProcessing,'],
    [{ type: 'Sequence', processors: 1 }, '"processors" is 1, expected a list'],
    [{ type: 'BertProcessing', sep: ['[SEP]', 3] }, '"post_processor.cls" is nothing'],
    [{ type: 'TemplateProcessing', single: {} }, '"post_processor.single" is an object'],
    [{ type: 'TemplateProcessing', single: [{}] }, '"post_processor.single": an item is an object'],
    [template('[CLS]:0', '$C:0'), '"post_processor.pair": a Sequence is "C", expected "A" or "B"'],
    [template('[EOS]:0', '$A:0'), 'a special token is "[EOS]", expected one of the vocabulary'],
    [template('$A:x', '$A:0'), 'a type_id is NaN, expected an integer ≥ 0'],
  ])('is reported: %j', (postProcessor, message) => {
    const create = () => createTokenizer({ tokenizerJson: bertTokenizerJson(postProcessor) });
    expect(create).toThrow(TokenizerError);
    expect(create).toThrow(message);
  });
});
