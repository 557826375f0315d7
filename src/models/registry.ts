import { ConfigError } from '../util/errors.ts';
import { bart } from './bart.ts';
import { bert } from './bert.ts';
import type { ConfigReader } from './config.ts';
import { deberta } from './deberta.ts';
import type { Family, ModelKind, Models } from './family.ts';
import { llama } from './llama.ts';
import { modernbert } from './modernbert.ts';
import { t5, t5Encoder } from './t5.ts';

const FAMILIES: { readonly [K in ModelKind]: readonly Family<Models[K]>[] } = {
  decoder: [llama],
  encoder: [bert, deberta, modernbert, t5Encoder],
  seq2seq: [t5, bart],
};

/** How a person loads a model of each kind. */
const LOADERS: Readonly<Record<ModelKind, string>> = {
  decoder: 'Engine.load',
  encoder: 'Encoder.load',
  seq2seq: 'Seq2Seq.load',
};
const KINDS: readonly ModelKind[] = ['decoder', 'encoder', 'seq2seq'];

/**
 * The family that runs a model as a model of this kind.
 *
 * @throws {ConfigError} if `model_type` is none we know, or of another kind; the message lists those we know
 */
export function familyOf<K extends ModelKind>(config: ConfigReader, kind: K): Family<Models[K]> {
  const modelType = config.string('model_type');
  const family = find(kind, modelType);
  if (family !== undefined) return family;
  const other = KINDS.find((name) => find(name, modelType) !== undefined);
  if (other !== undefined) {
    throw new ConfigError(
      `config.json: model_type "${modelType}" is not for ${LOADERS[kind]}, use ${LOADERS[other]}`,
      { key: 'model_type' },
    );
  }
  throw unknown(modelType, KINDS);
}

/**
 * What a checkpoint is for. One that holds only the encoder of an encoder-decoder says so by its class, such as
 * `T5EncoderModel`.
 *
 * @throws {ConfigError} if `model_type` is none we know; the message lists those we do
 */
export function kindOf(config: ConfigReader): ModelKind {
  const modelType = config.string('model_type');
  const kinds = KINDS.filter((kind) => find(kind, modelType) !== undefined);
  const [first] = kinds;
  if (first === undefined) throw unknown(modelType, KINDS);
  const isHalf = config.architecture()?.endsWith('EncoderModel') === true;
  if (isHalf && kinds.includes('encoder')) return 'encoder';
  return kinds.includes('seq2seq') ? 'seq2seq' : first;
}

function find<K extends ModelKind>(kind: K, modelType: string): Family<Models[K]> | undefined {
  return FAMILIES[kind].find(({ modelTypes }) => modelTypes.includes(modelType));
}

function unknown(modelType: string, kinds: readonly ModelKind[]): ConfigError {
  const known = kinds.flatMap((kind) => FAMILIES[kind].flatMap(({ modelTypes }) => modelTypes));
  return new ConfigError(
    `config.json: model_type "${modelType}" is not supported, expected one of: ${[...new Set(known)].join(', ')}`,
    { key: 'model_type' },
  );
}
