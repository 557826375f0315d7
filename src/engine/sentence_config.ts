/** What a repository of sentence-transformers says of how a text becomes a vector. @module */
import { ConfigError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { readJson, type ModelSource } from '../weights/source.ts';
import type { Pooling } from './encoder_api.ts';
import { OptionReader, wrongIn } from './option_reader.ts';

/** Defaults of calls that name neither `pooling` nor `outputs`, and of the longest text. */
export interface SentenceConfig {
  readonly pooling?: Pooling | undefined;
  readonly normalize: boolean;
  /** What the repository asks for and we do not do. */
  readonly unsupported?: string | undefined;
  readonly maxTokens?: number | undefined;
}

/** Our names of their poolings. */
const POOLINGS: Readonly<Record<string, Pooling>> = { cls: 'first', mean: 'mean' };

/**
 * Reads modules.json and the files of the modules it lists.
 *
 * @returns undefined if the repository is not one of sentence-transformers
 * @throws {ConfigError} if a file is damaged, or modules.json lists one that is missing
 */
export async function readSentenceConfig(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<SentenceConfig | undefined> {
  const modules = await readConfig(source, 'modules.json', signal);
  if (modules === undefined) return undefined;
  if (!Array.isArray(modules) || !modules.every(isRecord)) {
    throw new ConfigError(
      `modules.json: found ${describeValue(modules)}, expected a list of modules`,
    );
  }
  const maxTokens = await readMaxTokens(source, signal);
  const kinds = modules.map(({ type }) => String(type).split('.').at(-1) ?? '');
  const pooling = modules[kinds.indexOf('Pooling')];
  if (pooling === undefined) return { normalize: false, maxTokens };

  const { path: folder } = pooling;
  // Nothing outside the repository is read.
  if (typeof folder !== 'string' || !/^[\w-][\w.-]*$/.test(folder)) {
    throw new ConfigError(
      `modules.json: the path of the pooling is ${describeValue(folder)}, expected the name of a folder`,
    );
  }
  const path = `${folder}/config.json`;
  const modes = readModes(path, await readConfig(source, path, signal));
  const normalize = kinds.includes('Normalize');
  const other = kinds.find((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  const [mode = ''] = modes;
  if (other !== undefined || modes.length !== 1 || !Object.hasOwn(POOLINGS, mode)) {
    const unsupported =
      other === undefined
        ? `${path} asks for pooling by ${modes.join(' and ') || 'nothing'}`
        : `modules.json lists a module ${other}`;
    return { normalize, unsupported, maxTokens };
  }
  return { pooling: POOLINGS[mode], normalize, maxTokens };
}

/** Names of the poolings that are switched on: `pooling_mode_cls_token` is `cls`, `pooling_mode` holds names. */
function readModes(path: string, json: unknown): readonly string[] {
  if (!isRecord(json)) {
    throw new ConfigError(
      `${path}: found ${describeValue(json)}, expected the options of a pooling; modules.json lists it`,
    );
  }
  const named = json['pooling_mode'] ?? [];
  const on = Object.keys(json).filter((key) => json[key] === true);
  const flags = on.flatMap((key) => /^pooling_mode_(\w+?)(?:_tokens?)?$/.exec(key)?.[1] ?? []);
  return [...new Set([named, flags].flat().map(String))];
}

async function readMaxTokens(
  source: ModelSource,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const file = 'sentence_bert_config.json';
  const json = (await readConfig(source, file, signal)) ?? {};
  if (!isRecord(json)) {
    throw new ConfigError(`${file}: found ${describeValue(json)}, expected an object`);
  }
  return new OptionReader(json, wrongIn(file)).integer('max_seq_length', 1, 2 ** 31 - 1);
}

function readConfig(
  source: ModelSource,
  file: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const fail = (message: string, options?: ErrorOptions): ConfigError =>
    new ConfigError(`${file}: ${message}`, options);
  return readJson(source, file, fail, signal);
}
