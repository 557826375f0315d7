/** What a call of the AI SDK means for the engine, and what a reply means for the AI SDK. @module */
import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FinishReason,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from '@ai-sdk/provider';
import type { ChatCompletionParams, FinishReason, Usage } from '../engine/openai.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { promptMessages, unsupported } from './prompt.ts';

/** What `providerOptions.quern` may hold: options of the engine that the AI SDK has no name for. */
export type QuernProviderOptions = Pick<
  ChatCompletionParams,
  | 'min_p'
  | 'repetition_penalty'
  | 'logit_bias'
  | 'stop_token_ids'
  | 'ignore_eos'
  | 'context_overflow'
  | 'chat_template_kwargs'
>;

const PROVIDER_OPTIONS: readonly string[] = [
  'min_p',
  'repetition_penalty',
  'logit_bias',
  'stop_token_ids',
  'ignore_eos',
  'context_overflow',
  'chat_template_kwargs',
] satisfies readonly (keyof QuernProviderOptions)[];

/** A call, for the engine. */
export interface Call {
  readonly params: ChatCompletionParams;
  /** Settings that change nothing. */
  readonly warnings: SharedV4Warning[];
}

/**
 * Turns the options of a call into a request.
 *
 * @throws {UnsupportedFunctionalityError} for what the reply would be wrong without
 * @throws {RequestError} for an unknown option of ours
 */
export function requestOf(options: LanguageModelV4CallOptions): Call {
  const { toolChoice, abortSignal, stopSequences } = options;
  if (toolChoice?.type === 'required' || toolChoice?.type === 'tool') {
    throw unsupported(`toolChoice "${toolChoice.type}"`);
  }
  return {
    params: {
      messages: promptMessages(options.prompt),
      max_tokens: options.maxOutputTokens ?? null,
      temperature: options.temperature ?? null,
      top_p: options.topP ?? null,
      top_k: options.topK ?? null,
      frequency_penalty: options.frequencyPenalty ?? null,
      presence_penalty: options.presencePenalty ?? null,
      seed: options.seed ?? null,
      stop: stopSequences ?? null,
      ...providerOptions(options.providerOptions?.['quern']),
      ...(abortSignal && { signal: abortSignal }),
    },
    warnings: warningsFor(options),
  };
}

/** Usage as the AI SDK counts it. */
export function usageOf(usage: Usage | undefined): LanguageModelV4Usage {
  const cached = usage?.prompt_tokens_details.cached_tokens;
  const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
  return {
    inputTokens: {
      total: prompt,
      noCache: prompt === undefined ? undefined : prompt - (cached ?? 0),
      cacheRead: cached,
      cacheWrite: undefined,
    },
    outputTokens: { total: completion, text: completion, reasoning: undefined },
    ...(usage && {
      raw: {
        ...usage,
        prompt_tokens_details: { ...usage.prompt_tokens_details },
        timings: { ...usage.timings },
      },
    }),
  };
}

/** How fast the reply was. */
export function metadataOf(usage: Usage | undefined): SharedV4ProviderMetadata {
  return usage === undefined ? {} : { quern: { timings: { ...usage.timings } } };
}

/** Why a reply ended, as the AI SDK says it. */
export function finishReasonOf(reason: FinishReason | null): LanguageModelV4FinishReason {
  return { unified: reason ?? 'other', raw: reason ?? undefined };
}

function warningsFor(options: LanguageModelV4CallOptions): SharedV4Warning[] {
  const { tools = [], responseFormat, reasoning = 'provider-default' } = options;
  const warnings: SharedV4Warning[] = [];
  const warn = (feature: string, details: string): void => {
    warnings.push({ type: 'unsupported', feature, details });
  };
  if (tools.length > 0) warn('tools', 'the model is not told of them, and calls none');
  if (responseFormat?.type === 'json') {
    warn('responseFormat', 'the reply is free text; ask for JSON in the prompt');
  }
  if (reasoning !== 'provider-default') {
    warn('reasoning', 'set providerOptions.quern.chat_template_kwargs, as the model documents');
  }
  return warnings;
}

/** The engine checks the values. */
function providerOptions(options: unknown): QuernProviderOptions {
  if (options === undefined) return {};
  const unknown = isRecord(options)
    ? Object.keys(options).find((name) => !PROVIDER_OPTIONS.includes(name))
    : describeValue(options);
  if (unknown === undefined && isRecord(options)) return options;
  throw new RequestError(
    `providerOptions.quern: found ${unknown}, expected an object of ${PROVIDER_OPTIONS.join(', ')}`,
    { param: 'providerOptions' },
  );
}
