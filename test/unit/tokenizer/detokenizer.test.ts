import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import * as fc from 'fast-check';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTokenizer, type Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { isRecord } from '../../../src/util/objects.ts';
import { NO_TEST_DATA, readTokenizerFolder, testDataFolders } from '../../support/test_data.ts';
import { tinyTokenizers, tokenizerJson } from './tiny_tokenizers.ts';

function streamed(
  tokenizer: Tokenizer,
  ids: readonly number[],
  skipSpecialTokens: boolean,
): string[] {
  const stream = tokenizer.createStream({ skipSpecialTokens });
  return [...ids.map((id) => stream.push(id)), stream.flush()];
}

/** What the library decodes; it drops byte order marks from runs of byte tokens, which we keep. */
function expectSameText(actual: string, expected: string): void {
  expect(actual.replaceAll('\uFEFF', '')).toBe(expected.replaceAll('\uFEFF', ''));
}

function checkAgainstLibrary(
  tokenizer: Tokenizer,
  library: LibraryTokenizer,
  cleanUp: boolean,
  numRuns: number,
): void {
  // Small ids are the bytes and short pieces of most vocabularies, where the trouble is.
  const known = fc
    .oneof(fc.nat(Math.min(tokenizer.vocabSize, 300) - 1), fc.nat(tokenizer.vocabSize - 1))
    .filter((id) => tokenizer.idToToken(id) !== undefined);
  fc.assert(
    fc.property(fc.array(known, { maxLength: 24 }), fc.boolean(), (ids, skip) => {
      const options = { skip_special_tokens: skip, clean_up_tokenization_spaces: cleanUp };
      const expected = ids.length === 0 ? '' : library.decode(ids, options);
      const pieces = streamed(tokenizer, ids, skip);
      expectSameText(pieces.join(''), expected);
      expect(tokenizer.decode(ids, { skipSpecialTokens: skip })).toBe(pieces.join(''));
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
    }),
    { numRuns },
  );
}

describe('DetokenizerStream', () => {
  it.each(tinyTokenizers)('streams what the library decodes: %s', (_, tokenizer, json, config) => {
    const cleanUp = config['clean_up_tokenization_spaces'] === true;
    checkAgainstLibrary(tokenizer, new LibraryTokenizer(json, config), cleanUp, 150);
  });

  it('never returns text that a longer text contradicts', () => {
    for (const [, tokenizer] of tinyTokenizers) {
      const ids = fc.array(fc.nat(tokenizer.vocabSize - 1), { minLength: 1, maxLength: 12 });
      fc.assert(
        fc.property(ids, fc.nat(), (sequence, at) => {
          const length = at % sequence.length;
          const shown = streamed(tokenizer, sequence, true).slice(0, length).join('');
          expect(tokenizer.decode(sequence).startsWith(shown)).toBe(true);
          expect(tokenizer.decode(sequence.slice(0, length)).startsWith(shown)).toBe(true);
        }),
        { numRuns: 50 },
      );
    }
  });

  it('holds back an unfinished character and no more', () => {
    const tokenizer = tiny('byte fallback');
    const ids = ['n', '<0xF0>', '<0x9F>', '<0x99>', '<0x82>', 'n'].map((t) => idOf(tokenizer, t));
    expect(streamed(tokenizer, ids, true)).toEqual(['n', '', '', '', '🙂', 'n', '']);
    expect(streamed(tokenizer, ids.slice(0, 3), true)).toEqual(['n', '', '', '\uFFFD']);
  });

  it('takes away one leading space, whatever the first tokens are', () => {
    const tokenizer = tiny('byte fallback');
    const ids = ['<s>', '▁', '▁the'].map((t) => idOf(tokenizer, t));
    expect(streamed(tokenizer, ids, true)).toEqual(['', '', ' the', '']);
  });

  it('goes on where another text ended', () => {
    const tokenizer = tiny('byte fallback');
    const the = idOf(tokenizer, '▁the');
    expect(tokenizer.createStream().push(the)).toBe('the');
    expect(tokenizer.createStream({}, [the]).push(the)).toBe(' the');
    // A special token stands for no text.
    expect(tokenizer.createStream({}, [idOf(tokenizer, '<s>')]).push(the)).toBe('the');
    for (const [, tokenizer] of tinyTokenizers) {
      const ids = fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 6 });
      fc.assert(
        fc.property(ids, ids, (before, after) => {
          const stream = tokenizer.createStream({}, before);
          const text = after.map((id) => stream.push(id)).join('') + stream.flush();
          expect(tokenizer.decode([...before, ...after]).endsWith(text)).toBe(true);
        }),
        { numRuns: 50 },
      );
    }
  });

  it('holds back a space that clean-up may remove', () => {
    const tokenizer = tiny('metaspace, clean-up');
    const ids = ['n', '▁', '.', '▁', 'x'].map((t) => idOf(tokenizer, t));
    expect(streamed(tokenizer, ids, true)).toEqual(['n', '', '.', '', ' x', '']);
  });

  it('keeps a byte order mark', () => {
    const tokenizer = tiny('byte fallback');
    const ids = ['<0xEF>', '<0xBB>', '<0xBF>', 'n'].map((t) => idOf(tokenizer, t));
    expect(tokenizer.decode(ids)).toBe('\uFEFFn');
  });

  it('takes no leading space away that was never prepended', () => {
    const decoder = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' };
    const tokenizer = createTokenizer({ tokenizerJson: tokenizerJson(['▁the'], { decoder }) });
    expect(tokenizer.decode([idOf(tokenizer, '▁the')])).toBe(' the');
  });

  it('gives no text for ids without a token', () => {
    const tokenizer = tiny('byte level');
    const the = idOf(tokenizer, 'Ġthe');
    expect(tokenizer.decode([the, tokenizer.vocabSize, 1e9, the])).toBe(' the the');
    expect(tiny('CTC').decode([1e9])).toBe('');
  });

  const folders = testDataFolders('tokenizer.json');
  if (folders.length === 0) it('real tokenizers', (ctx) => ctx.skip(NO_TEST_DATA));
  it.each(folders.map((folder) => [basename(folder), folder]))(
    'streams what the library decodes: %s',
    { timeout: 60_000 },
    (_, folder) => {
      const files = readTokenizerFolder(folder);
      const tokenizer = createTokenizer(files);
      const config = isRecord(files.tokenizerConfig) ? files.tokenizerConfig : {};
      const library = new LibraryTokenizer(Object(files.tokenizerJson), config);
      const cleanUp = config['clean_up_tokenization_spaces'] === true;
      checkAgainstLibrary(tokenizer, library, cleanUp, 300);
    },
  );
});

function tiny(name: string): Tokenizer {
  const found = tinyTokenizers.find(([known]) => known === name);
  if (!found) throw new Error(`no tiny tokenizer "${name}"`);
  return found[1];
}

function idOf(tokenizer: Tokenizer, token: string): number {
  const id = tokenizer.tokenToId(token);
  if (id === undefined) throw new Error(`no token "${token}"`);
  return id;
}
