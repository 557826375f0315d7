import { candidatesPerBeam } from './core/beam_search.ts';
import { MAX_BEAM_CANDIDATES } from '../kernels/beam_candidates.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { GREEDY, type SamplingParams } from './core/sampling.ts';
import { numFixedRules, type RuledRequest } from './core/token_rules.ts';
import type { Generator } from './generator.ts';
import type { ResolvedLimits } from './limits.ts';
import { OptionReader, wrongInRequest } from './option_reader.ts';
import { checkParams, checkTokenIds, randomSeed, seedOf } from './params.ts';
import type { Seq2SeqParams } from './seq2seq_api.ts';
import type { Seq2SeqSettings, SettingsReader } from './seq2seq_settings.ts';
import { MAX_LOGIT_BIAS } from './step_regions.ts';

/** What is to be generated from one input, checked. */
export interface Seq2SeqJob {
  readonly encoderInput: readonly number[];
  readonly settings: Seq2SeqSettings;
  /** What the token rules must know of it. */
  readonly ruled: RuledRequest;
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** Where there are no beams. */
  readonly sampling: SamplingParams;
}

/** What requests are checked against. */
export interface Seq2SeqFacts {
  readonly settings: SettingsReader;
  /** @throws {TokenizerError} if there is none */
  readonly tokenizer: () => Tokenizer;
  /** Tokens of the encoder. */
  readonly vocab: number;
  readonly limits: ResolvedLimits;
  readonly generator: Pick<Generator, 'scheduler'>;
}

/** Options, and whether they say what is generated, rather than how it is handed over. */
const OPTIONS: Readonly<Record<keyof Seq2SeqParams, boolean>> = {
  max_new_tokens: true,
  max_length: true,
  min_new_tokens: true,
  min_length: true,
  decoder_input_ids: true,
  eos_token_id: true,
  do_sample: true,
  temperature: true,
  top_k: true,
  top_p: true,
  min_p: true,
  num_beams: true,
  num_return_sequences: true,
  length_penalty: true,
  early_stopping: true,
  renormalize_logits: true,
  repetition_penalty: true,
  no_repeat_ngram_size: true,
  encoder_no_repeat_ngram_size: true,
  bad_words_ids: true,
  suppress_tokens: true,
  begin_suppress_tokens: true,
  forced_bos_token_id: true,
  forced_eos_token_id: true,
  seed: false,
  truncate: false,
  skip_special_tokens: false,
  stream: false,
  signal: false,
};

/**
 * Checks what `generate` was called with.
 *
 * @throws {RequestError} naming the input or option, its value and what is accepted
 * @throws {TokenizerError} if an input is a text and there is no tokenizer, or it fails
 */
export function resolveJobs(
  inputs: readonly unknown[],
  params: Seq2SeqParams,
  facts: Seq2SeqFacts,
): readonly Seq2SeqJob[] {
  const settings = resolveSettings(params, facts);
  const options = new OptionReader({ ...params }, wrongInRequest);
  const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
  const seed = options.integer('seed', MIN_SAFE_INTEGER, MAX_SAFE_INTEGER) ?? randomSeed();
  const truncates = options.flag('truncate') ?? false;
  const { temperature, topK, topP, minP, repetitionPenalty } = settings;
  const sampling: SamplingParams = {
    ...GREEDY,
    temperature,
    topK,
    topP,
    minP,
    repetitionPenalty,
    seed: seedOf(seed, 0),
  };
  const { startIds, eosIds } = settings;
  return inputs.map((input, i): Seq2SeqJob => {
    const name = inputs.length === 1 ? 'input' : `inputs[${i}]`;
    const encoderInput = readInput(input, name, truncates, facts);
    const maxTokens = maxTokensOf(encoderInput.length, settings, params, facts);
    const numPrompt = startIds.length;
    const ruled = { numPrompt, maxLength: numPrompt + maxTokens, eosIds, encoderInput };
    return { encoderInput, settings, ruled, maxTokens, sampling };
  });
}

function resolveSettings(params: Seq2SeqParams, facts: Seq2SeqFacts): Seq2SeqSettings {
  checkParams(params);
  const known = new Map(Object.entries(OPTIONS));
  const unknown = Object.keys(params).find((key) => !known.has(key));
  if (unknown !== undefined) {
    throw new RequestError(
      `request: ${unknown} is no option of generate, expected one of: ${[...known.keys()].join(', ')}`,
      { param: unknown },
    );
  }
  const asked = Object.entries(params).filter(([key]) => known.get(key) === true);
  const settings = facts.settings(Object.fromEntries(asked));
  checkBeams(settings, facts.limits);
  const { rules, startIds, maxLength = Infinity } = settings;
  const numRules = numFixedRules(rules, settings);
  if (numRules > MAX_LOGIT_BIAS) {
    throw new RequestError(
      `request: bad_words_ids, suppress_tokens and begin_suppress_tokens name up to ${numRules} tokens at a time, expected at most ${MAX_LOGIT_BIAS}; leave some out`,
      { param: 'bad_words_ids' },
    );
  }
  if (startIds.length >= maxLength) {
    throw new RequestError(
      `request: max_length is ${maxLength}, but the decoder begins with ${startIds.length} tokens, expected more than that; raise it`,
      { param: 'max_length' },
    );
  }
  return settings;
}

function checkBeams(
  { isSampled, numBeams, eosIds }: Seq2SeqSettings,
  { maxSequences }: ResolvedLimits,
): void {
  const refuse = (why: string): never => {
    throw new RequestError(`request: num_beams is ${numBeams}, ${why}`, { param: 'num_beams' });
  };
  if (numBeams === 1) return;
  if (isSampled) refuse('and do_sample is true, expected one or the other; set one of them');
  if (numBeams > maxSequences) {
    refuse(
      `but at most ${maxSequences} sequences run at once; use fewer beams, or load with a larger maxSequences`,
    );
  }
  const candidates = candidatesPerBeam(numBeams, eosIds.size);
  if (candidates > MAX_BEAM_CANDIDATES) {
    refuse(
      `which with ${eosIds.size} ids that end a sequence takes ${candidates} candidates of each beam, expected at most ${MAX_BEAM_CANDIDATES}; use fewer beams`,
    );
  }
}

/** A length that the request does not ask for is no longer than the cache can hold. */
function maxTokensOf(
  inputLength: number,
  { startIds, maxLength = Infinity, numBeams }: Seq2SeqSettings,
  { max_new_tokens: askedNew, max_length: askedLength }: Seq2SeqParams,
  { limits, generator }: Seq2SeqFacts,
): number {
  const isAsked = (askedNew ?? askedLength ?? undefined) !== undefined;
  const held = generator.scheduler.maxLength(inputLength, numBeams);
  const most = Math.min(limits.contextLength, isAsked && numBeams > 1 ? Infinity : held);
  // At least one: what does not fit at all is refused when it is queued.
  return Math.max(1, Math.min(maxLength, most) - startIds.length);
}

function readInput(
  input: unknown,
  name: string,
  truncates: boolean,
  { tokenizer, vocab, limits: { inputLength } }: Seq2SeqFacts,
): readonly number[] {
  const most = truncates ? inputLength : undefined;
  const ids = readIds(input, name, most, tokenizer);
  checkTokenIds(name, ids, vocab);
  if (ids.length >= 1 && ids.length <= inputLength) return ids.map(Number);
  throw new RequestError(
    ids.length === 0
      ? `request: ${name} has no tokens, expected at least one`
      : `request: ${name} has ${ids.length} tokens, expected at most ${inputLength}; set truncate to cut it off, or load with a larger inputLength if the model allows it`,
    { param: name },
  );
}

function readIds(
  input: unknown,
  name: string,
  most: number | undefined,
  tokenizer: () => Tokenizer,
): readonly unknown[] {
  if (typeof input === 'string') return tokenizer().encodePair(input, undefined, most).ids;
  const ids = isRecord(input) ? input['ids'] : undefined;
  if (Array.isArray(ids)) return ids.slice(0, most);
  throw new RequestError(
    `request: ${name} is ${describeValue(input)}, expected a text or { ids: [token ids] }`,
    { param: name },
  );
}
