import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { EngineLimits, Seq2SeqLimits } from '../engine/limits.ts';
import { readModelConfig } from '../engine/model.ts';
import type { SpeculationOption } from '../engine/speculation_options.ts';
import { KV_DTYPES } from '../kernels/kv_cache.ts';
import type { ConfigReader } from '../models/config.ts';
import type { ModelKind } from '../models/family.ts';
import { kindOf } from '../models/kinds.ts';
import type { AdapterChoice } from '../node/gpu.ts';
import { openDirectory } from '../node/directory.ts';
import { WEIGHT_OPTIONS, type WeightOption } from '../weights/forms.ts';
import type { ModelSource } from '../weights/source.ts';
import { resolveSource } from '../weights/sources/resolve.ts';
import { choiceValue, countValue, PROGRAM, type TextOption, UsageError } from './command.ts';

/** The adapters that `--adapter` names. */
const ADAPTERS: readonly AdapterChoice[] = ['default', 'lavapipe', 'swiftshader'];

/** Options of every command that runs a model on the GPU. */
export const GPU_OPTIONS: { readonly adapter: TextOption } = {
  adapter: {
    type: 'string',
    value: 'NAME',
    help: `${ADAPTERS.join(', ')}; default is a real GPU where there is one`,
  },
};

/** Options that size the KV cache. */
export const CONTEXT_OPTIONS: { readonly context: TextOption; readonly kv: TextOption } = {
  context: {
    type: 'string',
    value: 'N',
    help: "tokens of prompt and reply together, or of an encoder-decoder's output",
  },
  kv: {
    type: 'string',
    value: 'TYPE',
    help: 'element type of the KV cache: f16 (default), f32 or q8',
  },
};

/** What weights are stored in. */
export const WEIGHTS_OPTION: { readonly weights: TextOption } = {
  weights: {
    type: 'string',
    value: 'FORM',
    help: `what weights are stored in: ${WEIGHT_OPTIONS.join(', ')}; default auto: as in the files where that fits`,
  },
};

/** Whether tokens are guessed. */
export const SPECULATION_OPTION: { readonly speculation: TextOption } = {
  speculation: {
    type: 'string',
    value: 'GUESSER',
    help: 'guesses tokens, verified several at once: lookup in the text so far, or a smaller MODEL; default off',
  },
};

/** Sizes what an encoder reads. */
export const INPUT_OPTION: { readonly input: TextOption } = {
  input: {
    type: 'string',
    value: 'N',
    help: 'tokens of a text to read, of encoders and encoder-decoders',
  },
};

/** What a MODEL argument may be, for help texts. */
export const MODEL_HELP =
  'MODEL is a folder, a URL of a folder, or a Hugging Face id (owner/name or owner/name@revision; HF_TOKEN is sent along).';

/**
 * Reads {@link CONTEXT_OPTIONS}.
 *
 * @throws {UsageError} if a value is none
 */
export function contextValues({
  context,
  kv,
}: {
  readonly context?: string;
  readonly kv?: string;
}): Pick<EngineLimits, 'contextLength' | 'kvDtype'> {
  return {
    ...(context !== undefined && { contextLength: countValue('context', context) }),
    ...(kv !== undefined && { kvDtype: choiceValue('kv', kv, KV_DTYPES) }),
  };
}

/**
 * Reads {@link WEIGHTS_OPTION}.
 *
 * @throws {UsageError} if there is no form of this name
 */
export function weightsValue(text: string | undefined): { readonly weights?: WeightOption } {
  return text === undefined ? {} : { weights: choiceValue('weights', text, WEIGHT_OPTIONS) };
}

/**
 * Reads {@link INPUT_OPTION}.
 *
 * @throws {UsageError} if the value is none
 */
export function inputValue(text: string | undefined): Pick<Seq2SeqLimits, 'inputLength'> {
  return text === undefined ? {} : { inputLength: countValue('input', text) };
}

/**
 * Reads {@link GPU_OPTIONS}.
 *
 * @throws {UsageError} if there is no adapter of this name
 */
export function adapterValue(text: string | undefined): AdapterChoice {
  return choiceValue('adapter', text ?? 'default', ADAPTERS);
}

/**
 * Finds the model that a command line names; a folder on this machine wins over a hub id of the same name.
 *
 * @throws {RequestError} if the text is of no known form
 */
export async function locateModel(model: string): Promise<ModelSource> {
  if (isUrl(model)) return resolveSource(model);
  if (!(await isHubId(model))) return openDirectory(model);
  const token = process.env['HF_TOKEN'];
  return resolveSource(
    model,
    token === undefined || token === '' ? {} : { headers: { Authorization: `Bearer ${token}` } },
  );
}

/**
 * Reads {@link SPECULATION_OPTION}: a folder called `lookup` or `off` is `./lookup`.
 *
 * @throws {RequestError} if a model's text is of no known form
 */
export async function speculationValue(
  text: string | undefined,
): Promise<{ readonly speculation?: SpeculationOption }> {
  if (text === undefined) return {};
  if (text === 'off' || text === 'lookup') return { speculation: text };
  return { speculation: { draft: await locateModel(text) } };
}

/** What to call the model that a command line names: a hub id as it is, else the name of the folder. */
export async function modelName(model: string): Promise<string> {
  if (isUrl(model)) return (URL.canParse(model) && basename(new URL(model).pathname)) || model;
  return (await isHubId(model)) ? model : basename(resolve(model));
}

/** What models of each kind are called. */
export const KIND_NAMES: Readonly<Record<ModelKind, string>> = {
  decoder: 'a decoder',
  encoder: 'an encoder',
  seq2seq: 'an encoder-decoder',
};

/** Commands that run a model of each kind. */
const COMMANDS: Readonly<Record<ModelKind, readonly string[]>> = {
  decoder: ['generate', 'serve', 'bench'],
  encoder: ['encode', 'bench'],
  seq2seq: ['generate', 'bench'],
};

/**
 * Reads what a model is for, and refuses one that is for other commands.
 *
 * @param kinds - of the models that the command runs
 * @returns the model's kind, and its configuration
 * @throws {UsageError} if it is none of these; the message names the commands that run it
 * @throws {ConfigError} if the configuration is missing, damaged or of a model we cannot run
 */
export async function checkKind<K extends ModelKind>(
  command: string,
  model: string,
  source: ModelSource,
  kinds: readonly K[],
  signal: AbortSignal,
): Promise<{ readonly kind: K; readonly config: ConfigReader }> {
  const config = await readModelConfig(source, signal);
  const found = kindOf(config);
  const kind = kinds.find((name) => name === found);
  if (kind !== undefined) return { kind, config };
  const others = COMMANDS[found].map((name) => `${PROGRAM} ${name}`).join(' or ');
  throw new UsageError(
    `${command}: ${model} is ${KIND_NAMES[found]}, expected ${kinds.map((name) => KIND_NAMES[name]).join(' or ')}; use ${others}`,
  );
}

function isUrl(model: string): boolean {
  return /^https?:\/\//i.test(model);
}

async function isHubId(model: string): Promise<boolean> {
  return /^[^./~][^/]*\/[^/]+$/.test(model) && !(await isDirectory(model));
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
