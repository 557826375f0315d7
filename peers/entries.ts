/** Everything that is compared, by kind. @module */
import { BERT_ENTRIES } from './bert.ts';
import type { Entry } from './contest.ts';
import { DECODER_ENTRIES } from './decoder.ts';
import { MATMUL_ENTRIES } from './matmul.ts';
import { TRANSFORMERS_ENTRIES } from './page/transformers.ts';
import { WLLAMA_ENTRIES } from './page/wllama.ts';

/** Beside ONNX Runtime itself. */
export const DEFAULT_KINDS = ['matmul', 'bert', 'decode'] as const;
/** Beside engines that are there in a page only. */
export const PAGE_KINDS = ['transformers', 'wllama'] as const;
export type Kind = (typeof DEFAULT_KINDS)[number] | (typeof PAGE_KINDS)[number];
export const KINDS: readonly Kind[] = [...DEFAULT_KINDS, ...PAGE_KINDS];

const ENTRIES: Readonly<Record<Kind, readonly Entry[]>> = {
  matmul: MATMUL_ENTRIES,
  bert: BERT_ENTRIES,
  decode: DECODER_ENTRIES,
  transformers: TRANSFORMERS_ENTRIES,
  wllama: WLLAMA_ENTRIES,
};

/** @param filter - text that the names must have */
export function entriesOf(kinds: readonly Kind[], filter: string): readonly Entry[] {
  return kinds.flatMap((kind) => ENTRIES[kind]).filter(({ name }) => name.includes(filter));
}
