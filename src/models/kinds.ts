/** Which models there are, and of which kind each is; the networks themselves are loaded by kind. @module */
import { ConfigError } from '../util/errors.ts';
import type { ConfigReader } from './config.ts';
import type { Family, ModelKind, Models } from './family.ts';

/** The families of one kind. */
export interface Families<K extends ModelKind> {
  readonly kind: K;
  readonly families: readonly Family<Models[K]>[];
}

/** `model_type` values of config.json by kind: those of the families, for pages that have not fetched them all. */
export const MODEL_TYPES: Readonly<Record<ModelKind, readonly string[]>> = {
  decoder: ['llama', 'mistral'],
  encoder: [
    'bert',
    'roberta',
    'xlm-roberta',
    'distilbert',
    'electra',
    'albert',
    'mpnet',
    'deberta-v2',
    'modernbert',
    't5',
    'mt5',
    'umt5',
    'switch_transformers',
  ],
  seq2seq: [
    't5',
    'mt5',
    'umt5',
    'switch_transformers',
    'bart',
    'mbart',
    'pegasus',
    'marian',
    'm2m_100',
  ],
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
export function familyOf<K extends ModelKind>(
  config: ConfigReader,
  { kind, families }: Families<K>,
): Family<Models[K]> {
  const modelType = config.string('model_type');
  const family = families.find(({ modelTypes }) => modelTypes.includes(modelType));
  if (family !== undefined) return family;
  throw new ConfigError(
    `config.json: model_type "${modelType}" is not for ${LOADERS[kind]}, use ${LOADERS[kindOf(config)]}`,
    { key: 'model_type' },
  );
}

/**
 * What a checkpoint is for. One that holds only the encoder of an encoder-decoder says so by its class, such as
 * `T5EncoderModel`.
 *
 * @throws {ConfigError} if `model_type` is none we know; the message lists those we do
 */
export function kindOf(config: ConfigReader): ModelKind {
  const kinds = kindsOf(config.string('model_type'));
  const isHalf = config.architecture()?.endsWith('EncoderModel') === true;
  if (isHalf && kinds.includes('encoder')) return 'encoder';
  return kinds.includes('seq2seq') ? 'seq2seq' : kinds[0];
}

function kindsOf(modelType: string): readonly [ModelKind, ...ModelKind[]] {
  const [first, ...others] = KINDS.filter((kind) => MODEL_TYPES[kind].includes(modelType));
  if (first !== undefined) return [first, ...others];
  const known = [...new Set(KINDS.flatMap((kind) => MODEL_TYPES[kind]))].join(', ');
  throw new ConfigError(
    `config.json: model_type "${modelType}" is not supported, expected one of: ${known}`,
    { key: 'model_type' },
  );
}
