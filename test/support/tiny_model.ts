import type { ModelSource } from '../../src/weights/source.ts';
import { tokenizerJson } from '../unit/tokenizer/tiny_tokenizers.ts';
import { memorySource } from './memory_source.ts';
import { CONFORMANCE, readModelFiles } from './model_files.ts';

type Files = Readonly<Record<string, string | Uint8Array | undefined>>;

/** 92 characters: with 3 special tokens and `<tool>` as many tokens as the fixture `llama` has. */
const CHARACTERS = Array.from({ length: 92 }, (_, i) => String.fromCodePoint(0x21 + i));

/**
 * The fixture `llama` with a tokenizer of single characters and a chat template, in memory: an engine that loads in no
 * time and talks nonsense. It never means to stop.
 *
 * @param changes - files to put in place of others; undefined takes one away
 */
export function tinyModel(changes: Files = {}): ModelSource {
  const files: Files = {
    ...readModelFiles(`${CONFORMANCE}/llama`),
    'tokenizer.json': JSON.stringify(
      tokenizerJson(CHARACTERS, { decoder: { type: 'Fuse' } }, { byte_fallback: false }),
    ),
    'tokenizer_config.json': JSON.stringify({ chat_template: CHAT_TEMPLATE, eos_token: '</s>' }),
    'generation_config.json': JSON.stringify({ eos_token_id: [] }),
    ...changes,
  };
  const present = Object.entries(files).flatMap(([name, contents]) =>
    contents === undefined ? [] : [[name, contents] as const],
  );
  return memorySource(Object.fromEntries(present));
}

const CHAT_TEMPLATE = '{% for message in messages %}{{ message.content }}{% endfor %}';
