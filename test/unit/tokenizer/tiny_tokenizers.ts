import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';

/** All 256 bytes in GPT-2's spelling: printable ones as they are, the rest from U+0100 on. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(isPrintable(b) ? b : next++));
}

function isPrintable(byte: number): boolean {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
}

const byteTokens = Array.from(
  { length: 256 },
  (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
);

const words = [
  '▁',
  '▁the',
  '▁▁',
  'n',
  "'",
  '▁.',
  '.',
  "▁n't",
  '▁,',
  "▁'",
  '▁é',
  '猫',
  '🙂',
  'x',
  ' ',
  "n't",
];
const specials = ['<unk>', '<s>', '</s>'];

const llamaDecoder = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

/** A tokenizer.json. */
export interface TinyFile {
  readonly model: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** tokenizer.json of a BPE tokenizer without merges over the given tokens. */
export function tokenizerJson(
  tokens: readonly string[],
  rest: Readonly<Record<string, unknown>> = {},
  model: Readonly<Record<string, unknown>> = {},
): TinyFile {
  const all = [...specials, ...tokens, '<tool>'];
  return {
    added_tokens: [...specials, '<tool>'].map((content) => ({
      id: all.indexOf(content),
      content,
      special: content !== '<tool>',
    })),
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(all.map((token, id) => [token, id])),
      merges: [],
      unk_token: '<unk>',
      byte_fallback: true,
      ...model,
    },
    ...rest,
  };
}

const BERT_TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

/** tokenizer.json of a WordPiece tokenizer of the words a to z, cut and padded as its file says, which nobody asked for. */
export function bertTokenizerJson(postProcessor: unknown = BERT_TEMPLATE): TinyFile {
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCodePoint(0x61 + i));
  const pad = { strategy: { Fixed: 9 }, direction: 'Right', pad_id: 0, pad_token: '[PAD]' };
  return {
    truncation: { direction: 'Right', max_length: 5, strategy: 'LongestFirst', stride: 0 },
    padding: pad,
    added_tokens: BERT_TOKENS.map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: postProcessor,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries([...BERT_TOKENS, ...letters].map((token, id) => [token, id])),
    },
  };
}

/** `post_processor` of tokenizer.json by a pattern such as `[CLS]:0 $A:0 [SEP]:0`. */
export function template(single: string, pair: string): object {
  const items = (pattern: string): unknown[] =>
    pattern.split(' ').map((item) => {
      const [name = '', type] = item.split(':');
      const type_id = Number(type);
      return name.startsWith('$')
        ? { Sequence: { id: name.slice(1), type_id } }
        : { SpecialToken: { id: name, type_id } };
    });
  return {
    type: 'TemplateProcessing',
    single: items(single),
    pair: items(pair),
    special_tokens: Object.fromEntries(
      BERT_TOKENS.map((id, i) => [id, { id, ids: [i], tokens: [id] }]),
    ),
  };
}

const BERT_TEMPLATE = template('[CLS]:0 $A:0 [SEP]:0', '[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1');

const sequence = (...decoders: readonly unknown[]): { decoder: unknown } => ({
  decoder: { type: 'Sequence', decoders },
});

const CTC = { type: 'CTC', pad_token: '<unk>', word_delimiter_token: '▁', cleanup: true };

/** One tokenizer.json for every kind of decoder. */
const FILES: Readonly<Record<string, TinyFile>> = {
  'byte fallback': tokenizerJson([...byteTokens, ...words], { decoder: llamaDecoder }),
  'byte level': tokenizerJson([...byteAlphabet(), 'Ġthe', 'Ġ.'], {
    decoder: { type: 'ByteLevel' },
  }),
  metaspace: tokenizerJson(words, { decoder: { type: 'Metaspace', replacement: '▁' } }),
  'word piece': tokenizerJson(['##s', 'the', '##the', '.', ',', "'", "n't", 'a', "##'s"], {
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  }),
  'no decoder': tokenizerJson(words),
  'BPE suffix': tokenizerJson(['a</w>', 'b', 'c</w>'], {
    decoder: { type: 'BPEDecoder', suffix: '</w>' },
  }),
  'end of word': tokenizerJson(
    ['a</w>', 'b', 'Ġ', '.</w>'],
    { decoder: { type: 'ByteLevel' } },
    { end_of_word_suffix: '</w>' },
  ),
  CTC: tokenizerJson(words, { decoder: CTC }),
  'strip both ends': tokenizerJson(
    words,
    sequence(
      { type: 'Fuse' },
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'Strip', content: ' ', start: 2, stop: 2 },
    ),
  ),
  'strip each': tokenizerJson(
    ['▁▁x▁', 'x▁', '▁'],
    sequence({ type: 'Strip', content: '▁', start: 1, stop: 1 }),
  ),
  'replace text': tokenizerJson(
    ['ab', 'a', 'b', 'ba'],
    sequence({ type: 'Fuse' }, { type: 'Replace', pattern: { String: 'aab' }, content: 'X' }),
  ),
  'pattern on text': tokenizerJson(
    ['ab', 'a', 'b'],
    sequence({ type: 'Fuse' }, { type: 'Replace', pattern: { Regex: 'a+b' }, content: 'X' }),
  ),
  'runs of bytes': tokenizerJson(
    [...byteTokens, 'x'],
    sequence({ type: 'ByteFallback' }, { type: 'Replace', pattern: { Regex: 'A+' }, content: '-' }),
  ),
};

/** The tokenizers by name, each without and with `clean_up_tokenization_spaces`. */
export const tinyTokenizers: readonly (readonly [
  name: string,
  tokenizer: Tokenizer,
  json: TinyFile,
  config: Record<string, unknown>,
])[] = Object.entries(FILES).flatMap(([name, json]) =>
  [false, true].map((cleanUp) => {
    const config = { clean_up_tokenization_spaces: cleanUp };
    const tokenizer = createTokenizer({ tokenizerJson: json, tokenizerConfig: config });
    return [cleanUp ? `${name}, clean-up` : name, tokenizer, complete(json), config] as const;
  }),
);

/** The file with the keys that the library insists on. */
function complete(json: TinyFile): TinyFile {
  return { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...json };
}
