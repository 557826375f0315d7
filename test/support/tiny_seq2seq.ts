import { readFileSync } from 'node:fs';
import type { ModelSource } from '../../src/weights/source.ts';
import { tokenizerJson } from '../unit/tokenizer/tiny_tokenizers.ts';
import { memorySource } from './memory_source.ts';
import { readModelFiles } from './model_files.ts';

/** Tiny encoder-decoders whose next token depends on all before it, and what a reference finds with them. */
export const BEAM_SEARCH = 'test/fixtures/beam_search';

/** A search of the reference. */
export interface BeamCase {
  readonly model: 't5' | 'bart';
  readonly input: readonly number[];
  /** In the words of `generate`. */
  readonly options: Readonly<Record<string, unknown>> & { readonly num_beams: number };
  /** With the start token. */
  readonly sequences: readonly (readonly number[])[];
  readonly scores: readonly number[];
}

/** Reads the searches of the reference. */
export function readBeamCases(): readonly BeamCase[] {
  return JSON.parse(readFileSync(`${BEAM_SEARCH}/cases.json`, 'utf8')).cases;
}

/** 43 characters: with 3 special tokens and `<tool>` as many tokens as the model `bart` has. */
const CHARACTERS = Array.from({ length: 43 }, (_, i) => String.fromCodePoint(0x41 + i));

/**
 * The model `bart` with a tokenizer of single characters that ends texts with `</s>`, in memory. It has 40 positions.
 *
 * @param changes - files to put in place of others; undefined takes one away
 */
export function tinySeq2Seq(
  changes: Readonly<Record<string, string | Uint8Array | undefined>> = {},
): ModelSource {
  const tokenizer = tokenizerJson(
    CHARACTERS,
    { decoder: { type: 'Fuse' }, post_processor: END_OF_TEXT },
    { byte_fallback: false },
  );
  const files = {
    ...readModelFiles(`${BEAM_SEARCH}/bart`),
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify({ eos_token: '</s>' }),
    ...changes,
  };
  const present = Object.entries(files).flatMap(([name, contents]) =>
    contents === undefined ? [] : [[name, contents] as const],
  );
  return memorySource(Object.fromEntries(present));
}

const END_OF_TEXT = {
  type: 'TemplateProcessing',
  single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] } },
};
