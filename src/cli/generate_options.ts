/** What `quern generate` takes, whatever the model. @module */
import { numberValue, UsageError } from './command.ts';
import { KIND_NAMES } from './model.ts';

/** Options with a value. */
type TextName =
  | 'prompt'
  | 'system'
  | 'max-tokens'
  | 'temperature'
  | 'top-p'
  | 'top-k'
  | 'min-p'
  | 'repetition-penalty'
  | 'frequency-penalty'
  | 'presence-penalty'
  | 'seed'
  | 'beams'
  | 'forced-bos'
  | 'context'
  | 'kv'
  | 'input'
  | 'speculation'
  | 'weights'
  | 'adapter';
type ListName = 'logit-bias' | 'stop';
type FlagName = 'raw' | 'ignore-eos' | 'truncate' | 'json' | 'stats';
type OptionName = TextName | ListName | FlagName;

/** Values of the options given. */
export type GenerateValues = {
  readonly [K in OptionName]?: K extends FlagName
    ? boolean
    : K extends ListName
      ? readonly string[]
      : string;
};

/** Options that only one kind of model has. */
const ONLY: Readonly<Record<'decoder' | 'seq2seq', readonly OptionName[]>> = {
  decoder: [
    'system',
    'raw',
    'frequency-penalty',
    'presence-penalty',
    'logit-bias',
    'stop',
    'ignore-eos',
    'speculation',
  ],
  seq2seq: ['beams', 'forced-bos', 'input'],
};

/** @throws {UsageError} if an option is given that models of this kind do not have */
export function refuseOptions(values: GenerateValues, kind: 'decoder' | 'seq2seq'): void {
  const foreign = ONLY[kind === 'decoder' ? 'seq2seq' : 'decoder'];
  const given = foreign.find((name) => values[name] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`generate: --${given} is not for ${KIND_NAMES[kind]}; leave it out`);
}

/**
 * The number that an option gives.
 *
 * @returns undefined if it is not given
 * @throws {UsageError} if its value is no number
 */
export function optionalNumber(values: GenerateValues, option: TextName): number | undefined {
  const text = values[option];
  return text === undefined ? undefined : numberValue(option, text);
}
