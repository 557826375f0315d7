/** What the encoder-decoder families have in common: how their checkpoints name and share tables. @module */
import { embedding, type Embedding } from '../nn/embedding.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { ConfigReader } from './config.ts';
import type { EncoderOutput } from './family.ts';

/** The tables over vocabularies. One that serves several ends is loaded once, and only when first asked for. */
export interface VocabTables {
  encoder(): Embedding;
  decoder(): Embedding;
  /** The head's matrix, for `tiedHead`. */
  head(): Pick<Embedding, 'weight'>;
}

export interface VocabTableOptions {
  readonly vocab: number;
  readonly decoderVocab: number;
  readonly dim: number;
  /** Factor on the rows. */
  readonly scale?: number;
  /** Whether encoder and decoder have one vocabulary and may share a table. */
  readonly isShared: boolean;
  /** Whether the head is the decoder's table where the file holds no other. */
  readonly isTied: boolean;
}

/**
 * Finds the tables. Files hold a table that is shared under one of its names only, by no fixed rule which; two names
 * in a file are two tables.
 *
 * @param w - the whole checkpoint
 * @param path - where `shared`, `encoder` and `decoder` are: empty, or `model.`
 */
export function vocabTables(
  w: WeightScope,
  path: string,
  { vocab, decoderVocab, dim, scale, isShared, isTied }: VocabTableOptions,
): VocabTables {
  const head = 'lm_head';
  const ofEncoder = `${path}encoder.embed_tokens`;
  const ofDecoder = `${path}decoder.embed_tokens`;
  const common = isShared ? [`${path}shared`, ofEncoder, ofDecoder] : [];
  const tied = isTied ? [head] : [];

  const loaded = new Map<string, Embedding>();
  const load = (rows: number, own: string, others: readonly string[]): Embedding => {
    const found = [own, ...others].find((name) => w.has(`${name}.weight`));
    const name = found ?? others[0] ?? own; // missing: asking for it says so
    const table = loaded.get(name) ?? embedding(w.at(name), rows, dim, { scale });
    loaded.set(name, table);
    return table;
  };
  return {
    encoder: () => load(vocab, ofEncoder, isShared ? [...common, ...tied] : []),
    decoder: () => load(decoderVocab, ofDecoder, [...common, ...tied]),
    head: () => load(decoderVocab, head, isTied ? (isShared ? common : [ofDecoder]) : []),
  };
}

/**
 * Refuses a checkpoint that some other class has saved, since it lacks what `classes` have.
 *
 * @throws {ConfigError} if `architectures` names none of `classes`; a configuration without it passes
 */
export function expectClass(json: ConfigReader, classes: readonly string[]): void {
  const name = json.architecture();
  if (name === undefined || classes.includes(name)) return;
  const lack = name.endsWith('EncoderModel')
    ? ', which has no decoder'
    : name.endsWith('Model')
      ? ', which has no language-model head (lm_head)'
      : '';
  throw json.fail('architectures', `is "${name}"${lack}, expected one of: ${classes.join(', ')}`);
}

/**
 * Refuses a checkpoint without the head that turns the decoder's result into logits.
 *
 * @param w - the whole checkpoint
 * @param isTied - whether the decoder's table serves as the head
 * @throws {ConfigError} if neither is there
 */
export function expectHead(json: ConfigReader, w: WeightScope, isTied: boolean): void {
  if (isTied || w.has('lm_head.weight')) return;
  throw json.fail(
    'tie_word_embeddings',
    'is false, so the checkpoint must have a language-model head of its own, but lm_head.weight is missing; use the repository of a model that was trained to generate',
  );
}

/** The encoder's result itself. */
export function lastHiddenState(dim: number): { readonly last_hidden_state: EncoderOutput } {
  return { last_hidden_state: { per: 'token', size: dim, compute: (hidden) => hidden } };
}
