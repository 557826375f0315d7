import type { Device } from '../gpu/device.ts';
import { ConfigReader } from '../models/config.ts';
import type { Family, ModelKind, Models } from '../models/family.ts';
import { familyOf, type Families } from '../models/kinds.ts';
import { createTokenizer, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { ConfigError, TokenizerError } from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { openCheckpoint, type Checkpoint } from '../weights/checkpoint.ts';
import type { WeightChoice } from '../weights/forms.ts';
import { WeightLoader } from '../weights/loader.ts';
import { WeightScope } from '../weights/scope.ts';
import { readJson, readText, type ModelSource } from '../weights/source.ts';
import type { LoadProgress } from './api.ts';
import { OptionReader, wrongIn, type WrongValue } from './option_reader.ts';

/** Larger numbers are damage. */
const MAX_COUNT = 2 ** 31 - 1;

/** What generation_config.json says replies should be like, where the request does not. */
export interface GenerationDefaults {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  /** Most tokens of a reply; undefined: until the context is full. */
  readonly maxTokens: number | undefined;
  /** Ids that end a reply. */
  readonly eosIds: ReadonlySet<number>;
}

export interface LoadModelOptions {
  /** What matrices are stored in; default: as in the files. */
  readonly weights?: WeightChoice | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Reads config.json.
 *
 * @throws {ConfigError} if it is missing or no JSON object
 */
export async function readModelConfig(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<ConfigReader> {
  const fail = (message: string, options?: ErrorOptions): ConfigError =>
    new ConfigError(`config.json: ${message}`, options);
  const json = await readJson(source, 'config.json', fail, signal);
  if (json === undefined) {
    throw new ConfigError(
      `config.json: missing in ${source.name}, expected the configuration of a Hugging Face model`,
    );
  }
  return new ConfigReader(json);
}

/** What the files of a model say. */
export interface ModelFiles {
  readonly name: string;
  readonly kind: ModelKind;
  readonly modelType: string;
  readonly parameters: number;
  readonly config: ConfigReader;
  /** generation_config.json, if there is one. */
  readonly generationConfig: Readonly<Record<string, unknown>>;
  readonly checkpoint: Checkpoint;
}

/** A model whose files have been found and checked. Nothing of it is on a GPU. */
export interface OpenedModel<Model> extends ModelFiles {
  readonly family: Family<Model>;
  /** Makes the weights up in place of those of the checkpoint; for measurements. */
  readonly makeUp?: (device: Device) => Promise<Model>;
}

/**
 * Reads configuration and weight headers of a model of a certain kind.
 *
 * @throws {ConfigError} if the configuration is missing, damaged or of a model we cannot run
 * @throws {WeightFileError} if a weight file is missing or damaged
 * @throws {DownloadError} if a file cannot be read
 * @throws `signal.reason` when aborted
 */
export async function openModel<K extends ModelKind>(
  source: ModelSource,
  families: Families<K>,
  signal?: AbortSignal,
): Promise<OpenedModel<Models[K]>> {
  const config = await readModelConfig(source, signal);
  return openAs(source, config, families, signal);
}

/**
 * The same, of a configuration that has been read.
 *
 * @throws as {@link openModel}
 */
export async function openAs<K extends ModelKind>(
  source: ModelSource,
  config: ConfigReader,
  families: Families<K>,
  signal: AbortSignal | undefined,
): Promise<OpenedModel<Models[K]>> {
  const family = familyOf(config, families);
  const generationConfig = await readGenerationConfig(source, signal);
  const checkpoint = await openCheckpoint(source, signal);
  return {
    name: source.name,
    kind: families.kind,
    modelType: config.string('model_type'),
    parameters: countParameters(checkpoint),
    config,
    family,
    generationConfig,
    checkpoint,
  };
}

/**
 * Puts a model's weights on a device; as often as there are devices.
 *
 * @throws {ConfigError} if a key of the configuration is missing or absurd
 * @throws {WeightFileError} if the weights do not fit the configuration
 * @throws {DownloadError} if a file cannot be read
 * @throws {OutOfMemoryError} if the GPU cannot hold the weights
 * @throws `signal.reason` when aborted
 */
export async function uploadModel<Model>(
  { config, family, checkpoint, makeUp }: OpenedModel<Model>,
  device: Device,
  { weights, signal, onProgress }: LoadModelOptions = {},
): Promise<Model> {
  if (makeUp !== undefined) return makeUp(device);
  const loader = new WeightLoader(device, checkpoint, weights);
  const model = family.load(config, new WeightScope(loader));
  await loader.upload(device, {
    ...(signal && { signal }),
    onProgress: (progress) => onProgress?.({ phase: 'weights', ...progress }),
  });
  return model;
}

/**
 * Reads the tokenizer's files.
 *
 * @param chatTemplate - a template to use instead of the repository's
 * @throws {TokenizerError} if tokenizer.json is missing, malformed or of an unknown kind
 */
export async function loadTokenizer(
  source: ModelSource,
  chatTemplate: string | undefined,
  signal?: AbortSignal,
): Promise<Tokenizer> {
  return (await readTokenizer(source, chatTemplate, signal)) ?? failMissing(source);
}

/**
 * Reads the tokenizer's files of a model that can do without, because it takes token ids as well.
 *
 * @returns the tokenizer, or throws {@link TokenizerError} if there is no tokenizer.json
 * @throws {TokenizerError} if tokenizer.json is malformed or of an unknown kind
 */
export async function loadTokenizerIfAny(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<() => Tokenizer> {
  const tokenizer = await readTokenizer(source, undefined, signal);
  return () => tokenizer ?? failMissing(source);
}

/** @throws {TokenizerError} always */
export function failMissing({ name }: ModelSource): never {
  throw new TokenizerError(
    `tokenizer.json: missing in ${name}, expected the file of a fast tokenizer; save the tokenizer with Transformers to get one`,
  );
}

/**
 * Reads the tokenizer's files, if there are any.
 *
 * @throws {TokenizerError} if tokenizer.json is malformed or of an unknown kind
 */
export async function readTokenizer(
  source: ModelSource,
  chatTemplate: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Tokenizer | undefined> {
  const read = (file: string): Promise<unknown> => {
    const fail = (message: string, options?: ErrorOptions): TokenizerError =>
      new TokenizerError(`${file}: ${message}`, options);
    return readJson(source, file, fail, signal);
  };
  const templateFile = 'chat_template.jinja';
  const [tokenizerJson, tokenizerConfig, specialTokensMap, template] = await Promise.all([
    read('tokenizer.json'),
    read('tokenizer_config.json'),
    read('special_tokens_map.json'),
    chatTemplate ??
      readText(
        source,
        templateFile,
        (message, options) => new TokenizerError(`${templateFile}: ${message}`, options),
        signal,
      ),
  ]);
  if (tokenizerJson === undefined) return undefined;
  return createTokenizer({
    tokenizerJson,
    tokenizerConfig,
    specialTokensMap,
    chatTemplate: template,
  });
}

async function readGenerationConfig(
  source: ModelSource,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const file = 'generation_config.json';
  const fail = (message: string, options?: ErrorOptions): ConfigError =>
    new ConfigError(`${file}: ${message}`, options);
  const json = (await readJson(source, file, fail, signal)) ?? {};
  if (!isRecord(json)) throw fail('not an object, expected generation defaults');
  return json;
}

/**
 * What generation_config.json, or config.json, says replies should be like.
 *
 * @param wrong - makes the error for a value that is not what its key is for
 * @throws {ConfigError} if a value is not what its key is for
 */
export function generationDefaults(
  { generationConfig, config }: Pick<ModelFiles, 'generationConfig' | 'config'>,
  wrong: WrongValue = wrongIn('generation_config.json'),
): GenerationDefaults {
  const eosIds = generationConfig['eos_token_id'] ?? config.raw('eos_token_id');
  const options = new OptionReader({ ...generationConfig, eos_token_id: eosIds }, wrong);
  // Transformers generates greedily unless do_sample asks for more.
  const isSampled = options.flag('do_sample') ?? false;
  return {
    temperature: isSampled ? (options.number('temperature', 0, 100) ?? 1) : 0,
    topK: isSampled ? (options.integer('top_k', 0, MAX_COUNT) ?? 50) : 0,
    topP: isSampled ? (options.number('top_p', 0, 1) ?? 1) : 1,
    minP: isSampled ? (options.number('min_p', 0, 1) ?? 0) : 0,
    repetitionPenalty: options.number('repetition_penalty', 0.01, 100) ?? 1,
    maxTokens: options.integer('max_new_tokens', 1, MAX_COUNT),
    eosIds: new Set(options.idOrIds('eos_token_id')),
  };
}

function countParameters({ tensors }: Checkpoint): number {
  let parameters = 0;
  for (const { shape } of tensors.values()) parameters += shape.reduce((n, size) => n * size, 1);
  return parameters;
}
