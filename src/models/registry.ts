import { ConfigError } from '../util/errors.ts';
import type { ConfigReader } from './config.ts';
import type { DecoderFamily } from './family.ts';
import { llama } from './llama.ts';

const FAMILIES: readonly DecoderFamily[] = [llama];

/**
 * The family that runs a model.
 *
 * @throws {ConfigError} if `model_type` is none we know; the message lists those we do
 */
export function familyOf(config: ConfigReader): DecoderFamily {
  const modelType = config.string('model_type');
  const family = FAMILIES.find(({ modelTypes }) => modelTypes.includes(modelType));
  if (family === undefined) {
    const known = FAMILIES.flatMap(({ modelTypes }) => modelTypes).join(', ');
    throw new ConfigError(
      `config.json: model_type "${modelType}" is not supported, expected one of: ${known}`,
      { key: 'model_type' },
    );
  }
  return family;
}
