/** What `quern bench` is to measure. @module */
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { BenchTarget } from '../bench/open_model.ts';
import { BUNDLED_MODEL, MADE_UP_FORM } from '../bench/plan.ts';
import { shapeConfig, SHAPES } from '../bench/shapes.ts';
import { WEIGHT_FORMS } from '../kernels/matrix.ts';
import { ConfigReader } from '../models/config.ts';
import { ConfigError } from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { REPOSITORY } from './bench_facts.ts';
import { choiceValue, UsageError } from './command.ts';
import { locateModel } from './model.ts';

/** Options that name it. */
export interface TargetValues {
  readonly shape?: string;
  readonly config?: string;
  readonly weights?: string;
}

/** Whether it is the model that comes with Quern. */
export function isBundled(model: string | undefined, { shape, config }: TargetValues): boolean {
  return model === undefined && shape === undefined && config === undefined;
}

/** @throws {UsageError} if several are named, or a name is none; errors as of {@link readConfig} and `locateModel` */
export async function targetOf(
  model: string | undefined,
  { shape, config, weights = 'auto' }: TargetValues,
): Promise<BenchTarget> {
  const given = [model, shape, config].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new UsageError('bench: several models, expected one of MODEL, --shape and --config');
  }
  if (shape === undefined && config === undefined) {
    return {
      kind: 'files',
      source: await locateModel(model ?? `${REPOSITORY}weights/${BUNDLED_MODEL}`),
    };
  }
  const made = shape === undefined ? await readConfig(config ?? '') : shapeOf(shape);
  const form = choiceValue('weights', weights, ['auto', ...WEIGHT_FORMS]);
  return { kind: 'shape', ...made, form: form === 'auto' ? MADE_UP_FORM : form };
}

/** The sizes of a well-known model. @throws {UsageError} if there is none of this name */
export function shapeOf(name: string): { readonly name: string; readonly config: ConfigReader } {
  return { name, config: shapeConfig(choiceValue('shape', name, Object.keys(SHAPES))) };
}

/** The sizes in a config.json. @throws {ConfigError} if it cannot be read */
export async function readConfig(
  path: string,
): Promise<{ readonly name: string; readonly config: ConfigReader }> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`${path}: ${reason}`, { cause });
  }
  if (!isRecord(json)) throw new ConfigError(`${path}: not an object, expected a configuration`);
  return { name: basename(dirname(resolve(path))), config: new ConfigReader(json) };
}
