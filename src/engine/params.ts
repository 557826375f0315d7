import { MAX_TOP_LOGPROBS } from '../kernels/sample.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { wrongInRequest } from './option_reader.ts';
import type { GenerationParams } from './openai.ts';
import type { SamplingParams } from './core/sampling.ts';
import type { GenerationDefaults } from './model.ts';
import { MAX_LOGIT_BIAS } from './step_regions.ts';

/** What a request asks for, checked, with the defaults filled in. */
export interface ResolvedParams {
  readonly n: number;
  readonly maxTokens: number | undefined;
  readonly stopIds: ReadonlySet<number>;
  readonly stopStrings: readonly string[];
  readonly sampling: Omit<SamplingParams, 'seed'>;
  readonly seed: number;
  readonly overflow: 'error' | 'truncate';
  readonly includeUsage: boolean;
}

/** Fields that chat and plain completions spell differently. */
export interface Spelling {
  readonly maxTokens: { readonly param: string; readonly value: unknown };
  /** Alternatives per token; undefined: no log-probabilities. */
  readonly topLogprobs: { readonly param: string; readonly value: unknown };
}

/** Largest temperature accepted; beyond it every token is as likely as any other. */
const MAX_TEMPERATURE = 100;
const MAX_CHOICES = 128;

/**
 * Checks a request's options.
 *
 * @param vocab - tokens of the model, for the range of ids
 * @throws {RequestError} naming the option, its value and what is accepted
 */
export function resolveParams(
  params: GenerationParams,
  spelling: Spelling,
  defaults: GenerationDefaults,
  vocab: number,
): ResolvedParams {
  const number = (param: keyof GenerationParams, fallback: number, min: number, max: number) =>
    checkNumber(param, params[param] ?? fallback, min, max);
  const integer = (param: keyof GenerationParams, fallback: number, min: number, max: number) =>
    checkInteger(param, params[param] ?? fallback, min, max);
  const { maxTokens, topLogprobs } = spelling;
  const optional = ({ param, value }: Spelling['maxTokens'], min: number, max: number) =>
    value === undefined || value === null ? undefined : checkInteger(param, value, min, max);

  return {
    n: integer('n', 1, 1, MAX_CHOICES),
    maxTokens: optional(maxTokens, 1, Number.MAX_SAFE_INTEGER) ?? defaults.maxTokens,
    stopIds: readStopIds(params, defaults, vocab),
    stopStrings: readStopStrings(params.stop),
    seed: integer('seed', randomSeed(), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    overflow: readOverflow(params.context_overflow),
    includeUsage: readIncludeUsage(params.stream_options),
    sampling: {
      temperature: number('temperature', defaults.temperature, 0, MAX_TEMPERATURE),
      topK: integer('top_k', defaults.topK, 0, 2 ** 31 - 1),
      topP: number('top_p', defaults.topP, 0, 1),
      minP: number('min_p', defaults.minP, 0, 1),
      repetitionPenalty: number('repetition_penalty', defaults.repetitionPenalty, 0.01, 100),
      frequencyPenalty: number('frequency_penalty', 0, -100, 100),
      presencePenalty: number('presence_penalty', 0, -100, 100),
      logitBias: readLogitBias(params.logit_bias, vocab),
      topLogprobs: optional(topLogprobs, 0, MAX_TOP_LOGPROBS),
    },
  };
}

/**
 * The seed of one of a request's replies; the first one's is the request's own.
 *
 * @returns 64 bits as two unsigned words
 */
export function seedOf(seed: number, choice: number): readonly [number, number] {
  // Weyl sequence with the golden ratio: neighbours differ in many bits.
  const low = (seed + Math.imul(choice, 0x9e3779b9)) >>> 0;
  return [low, Math.floor(seed / 2 ** 32) >>> 0];
}

/** @throws {RequestError} unless a request is an object, and its signal an AbortSignal */
export function checkParams(params: unknown): void {
  if (!isRecord(params)) {
    throw new RequestError(`request: found ${describeValue(params)}, expected an object`);
  }
  const { signal } = params;
  // Not instanceof: the signal may come from another window.
  const isSignal = isRecord(signal) && typeof signal['throwIfAborted'] === 'function';
  if (signal !== undefined && !isSignal) {
    throw wrongInRequest('signal', signal, 'the signal of an AbortController');
  }
}

/** A switch that may be left out. @throws {RequestError} if it is something else */
export function readFlag(param: string, value: unknown): boolean {
  if (value === undefined || value === null || typeof value === 'boolean') return value === true;
  throw wrongInRequest(param, value, 'true or false');
}

/** @throws {RequestError} unless it is an object, or left out */
export function checkRecord(param: string, value: unknown): void {
  if (value === undefined || value === null || isRecord(value)) return;
  throw wrongInRequest(param, value, 'an object');
}

/** @throws {RequestError} unless every id is a token of the model */
export function checkTokenIds(param: string, ids: readonly unknown[], vocab: number): void {
  const at = ids.findIndex((id) => !Number.isInteger(id) || Number(id) < 0 || Number(id) >= vocab);
  if (at >= 0) {
    throw new RequestError(
      `request: ${param}[${at}] is ${describeValue(ids[at])}, expected a token id from 0 to ${vocab - 1}`,
      { param },
    );
  }
}

/** 53 random bits. */
export function randomSeed(): number {
  const [low = 0, high = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 2 ** 21) * 2 ** 32 + low;
}

function checkNumber(param: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw wrongInRequest(param, value, `a number from ${min} to ${max}`);
}

function checkInteger(param: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value)) return checkNumber(param, value, min, max);
  throw wrongInRequest(param, value, `an integer from ${min} to ${max}`);
}

function readStopIds(
  { stop_token_ids: asked = [], ignore_eos: ignoresEos }: GenerationParams,
  { eosIds }: GenerationDefaults,
  vocab: number,
): ReadonlySet<number> {
  if (!Array.isArray(asked)) {
    throw wrongInRequest('stop_token_ids', asked, 'a list of token ids');
  }
  checkTokenIds('stop_token_ids', asked, vocab);
  return new Set([...(readFlag('ignore_eos', ignoresEos) ? [] : eosIds), ...asked]);
}

function readStopStrings(stop: GenerationParams['stop']): readonly string[] {
  const stops: readonly unknown[] = typeof stop === 'string' ? [stop] : (stop ?? []);
  if (!Array.isArray(stops)) {
    throw wrongInRequest('stop', stop, 'a string or a list');
  }
  return stops.map((text: unknown) => {
    if (typeof text === 'string' && text !== '') return text;
    throw new RequestError(
      `request: stop has ${describeValue(text)}, expected strings that are not empty`,
      { param: 'stop' },
    );
  });
}

function readIncludeUsage(options: GenerationParams['stream_options']): boolean {
  checkRecord('stream_options', options);
  return readFlag('stream_options.include_usage', options?.include_usage);
}

function readOverflow(value: GenerationParams['context_overflow']): 'error' | 'truncate' {
  if (value === undefined || value === 'error' || value === 'truncate') return value ?? 'error';
  throw wrongInRequest('context_overflow', value, '"error" or "truncate"');
}

function readLogitBias(
  bias: GenerationParams['logit_bias'],
  vocab: number,
): ReadonlyMap<number, number> {
  if (!isRecord(bias ?? {})) {
    throw wrongInRequest('logit_bias', bias, 'an object of token ids and numbers');
  }
  const entries = Object.entries(bias ?? {}).map(([key, value]): [number, number] => [
    Number(key),
    checkNumber('logit_bias', value, -100, 100),
  ]);
  if (entries.length > MAX_LOGIT_BIAS) {
    throw new RequestError(
      `request: logit_bias has ${entries.length} tokens, expected at most ${MAX_LOGIT_BIAS}`,
      { param: 'logit_bias' },
    );
  }
  checkTokenIds(
    'logit_bias',
    entries.map(([token]) => token),
    vocab,
  );
  return new Map(entries);
}
