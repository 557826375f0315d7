/** How an encoder-decoder generates: as generation_config.json says, or config.json before that, or a request. */
import { ConfigError } from '../util/errors.ts';
import type { TokenRuleSettings } from './core/token_rules.ts';
import { readTokenRules, refuseUnsupported } from './generation_rules.ts';
import { generationDefaults, type GenerationDefaults, type ModelFiles } from './model.ts';
import { OptionReader, wrongIn, wrongInRequest, type WrongValue } from './option_reader.ts';

type Json = Readonly<Record<string, unknown>>;

/** Everything that decides what is generated from an input. */
export interface Seq2SeqSettings extends GenerationDefaults {
  /** Tokens that the decoder begins with, at least the start token. */
  readonly startIds: readonly number[];
  readonly isSampled: boolean;
  readonly rules: TokenRuleSettings;
  readonly numBeams: number;
  readonly numReturn: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  /** Whether the probabilities of the tokens that the rules leave a beam sum to 1. */
  readonly renormalizes: boolean;
  /** Most tokens of the decoder, the start tokens counted; undefined: until the context is full. */
  readonly maxLength: number | undefined;
}

/**
 * Settings of a model.
 *
 * @param request - options that go before those of the files; undefined is none, null takes away what a file says
 * @throws {RequestError} if a value of the request is not what its key is for
 */
export type SettingsReader = (request?: Json) => Seq2SeqSettings;

/** Where the files count another way, the request's own way of counting goes first. */
const COUNTERPARTS = { max_length: 'max_new_tokens', min_length: 'min_new_tokens' } as const;

const MOST = 2 ** 31 - 1;

/**
 * Reads how a model generates where a request does not say.
 *
 * @param vocab - tokens of the decoder
 * @throws {ConfigError} if a value is not what its key is for, or asks for what is not supported
 */
export function settingsReader(
  { generationConfig, config }: Pick<ModelFiles, 'generationConfig' | 'config'>,
  vocab: number,
): SettingsReader {
  // Repositories from before generation_config.json have its keys in config.json.
  const isOld = Object.keys(generationConfig).length === 0;
  const file = isOld ? 'config.json' : 'generation_config.json';
  const files: Json = {
    bos_token_id: config.raw('bos_token_id'),
    decoder_start_token_id: config.raw('decoder_start_token_id'),
    ...(isOld ? config.json : generationConfig),
  };
  refuseUnsupported(files, file);
  const read: SettingsReader = (request = {}) => {
    const wrong: WrongValue = (key, value, expected) => {
      const blame = (request[key] ?? undefined) === undefined ? wrongIn(file) : wrongInRequest;
      return blame(key, value, expected);
    };
    return readSettings({ generationConfig: overridden(files, request), config }, vocab, wrong);
  };
  read();
  return read;
}

function overridden(files: Json, request: Json): Json {
  const asked = Object.entries(request).filter(([, value]) => value !== undefined);
  const replaced = Object.entries(COUNTERPARTS).flatMap(([key, other]) =>
    (request[key] ?? undefined) === undefined ? [] : [[other, undefined] as const],
  );
  return { ...files, ...Object.fromEntries(replaced), ...Object.fromEntries(asked) };
}

function readSettings(
  files: Pick<ModelFiles, 'generationConfig' | 'config'>,
  vocab: number,
  wrong: WrongValue,
): Seq2SeqSettings {
  const options = new OptionReader(files.generationConfig, wrong);
  const startIds = readStart(options, vocab);
  const numBeams = options.integer('num_beams', 1, MOST) ?? 1;
  const isEarlyStopping = (value: unknown): value is boolean | 'never' =>
    typeof value === 'boolean' || value === 'never';
  const isSampled = options.flag('do_sample') ?? false;
  // What a greedy search does not use is checked all the same.
  const sampled = { ...files.generationConfig, do_sample: true };
  const defaults = generationDefaults({ ...files, generationConfig: sampled }, wrong);
  const { maxTokens, eosIds } = defaults;
  const maxLength = options.integer('max_length', 1, MOST);
  if ([...eosIds].some((id) => id >= vocab)) {
    throw wrong('eos_token_id', [...eosIds], `ids from 0 to ${vocab - 1}`);
  }
  return {
    ...defaults,
    temperature: isSampled ? defaults.temperature : 0,
    startIds,
    isSampled,
    numBeams,
    numReturn: options.integer('num_return_sequences', 1, numBeams) ?? 1,
    lengthPenalty: options.number('length_penalty', -100, 100) ?? 1,
    earlyStopping:
      options.read('early_stopping', isEarlyStopping, 'true, false or "never"') ?? false,
    renormalizes: options.flag('renormalize_logits') ?? false,
    maxLength: maxTokens === undefined ? maxLength : startIds.length + maxTokens,
    rules: readTokenRules(options, vocab),
  };
}

/** The start token goes before what a request says unless that begins with it, as in Transformers. */
function readStart(options: OptionReader, vocab: number): readonly number[] {
  const start = options.id('decoder_start_token_id', vocab) ?? options.id('bos_token_id', vocab);
  if (start === undefined) {
    throw new ConfigError(
      'generation_config.json or config.json: "decoder_start_token_id" is missing, expected the token id that the decoder begins with',
      { key: 'decoder_start_token_id' },
    );
  }
  const ids = options.ids('decoder_input_ids', vocab) ?? [];
  return ids[0] === start ? ids : [start, ...ids];
}
