import type { ModelSource } from '../../src/weights/source.ts';
import { bertTokenizerJson } from '../unit/tokenizer/tiny_tokenizers.ts';
import { memorySource } from './memory_source.ts';
import { CONFORMANCE, readModelFiles } from './model_files.ts';

/**
 * A fixture, in memory, with a tokenizer of the words a to z: `[CLS]` is 2, `[SEP]` 3, `[MASK]` 4 and `a` 5.
 *
 * @param changes - files to put in place of others; undefined takes one away
 */
export function tinyEncoder(
  fixture: string,
  changes: Readonly<Record<string, string | Uint8Array | undefined>> = {},
): ModelSource {
  const files: Readonly<Record<string, string | Uint8Array | undefined>> = {
    ...readModelFiles(`${CONFORMANCE}/${fixture}`),
    'tokenizer.json': JSON.stringify(bertTokenizerJson()),
    ...changes,
  };
  const present = Object.entries(files).flatMap(([name, contents]) =>
    contents === undefined ? [] : [[name, contents] as const],
  );
  return memorySource(Object.fromEntries(present));
}
