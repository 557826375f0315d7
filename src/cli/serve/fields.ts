/** Reads the fields of a request body: those that the engine honors pass, all others are refused by name. @module */
import type { ChatCompletionParams, CompletionParams } from '../../engine/openai.ts';
import { describeValue, isRecord } from '../../util/objects.ts';
import { ApiError } from './api_error.ts';

type Body = Readonly<Record<string, unknown>>;
/** Whether a value asks for nothing that the engine does not do anyway. */
type IsHarmless = (value: unknown, body: Body) => boolean;

/** Fields whose values the engine checks itself. */
const SHARED = [
  'n',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'repetition_penalty',
  'frequency_penalty',
  'presence_penalty',
  'logit_bias',
  'seed',
  'stop',
  'stop_token_ids',
  'ignore_eos',
  'context_overflow',
  'stream',
  'stream_options',
  'logprobs',
] as const;
const CHAT = [
  ...SHARED,
  'messages',
  'max_completion_tokens',
  'top_logprobs',
  'chat_template_kwargs',
] as const;
const PLAIN = [...SHARED, 'prompt', 'echo'] as const;

const always: IsHarmless = () => true;
const isEmptyList: IsHarmless = (value) => Array.isArray(value) && value.length === 0;
const oneOf =
  (...values: readonly unknown[]): IsHarmless =>
  (value) =>
    values.includes(value);

/** Fields of OpenAI's that change nothing here, and the values for which that is so. */
const HARMLESS: ReadonlyMap<string, IsHarmless> = new Map(
  Object.entries<IsHarmless>({
    model: always, // the server has looked at it
    user: always,
    safety_identifier: always,
    metadata: always,
    prompt_cache_key: always,
    prompt_cache_retention: always,
    prediction: always, // makes a reply faster, not different
    parallel_tool_calls: always, // speaks of tools, which are refused
    store: oneOf(false),
    service_tier: oneOf('auto', 'default'),
    verbosity: oneOf('medium'),
    tools: isEmptyList,
    functions: isEmptyList,
    tool_choice: oneOf('none', 'auto'),
    function_call: oneOf('none', 'auto'),
    response_format: (value) => isRecord(value) && value['type'] === 'text',
    modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
    suffix: oneOf(''),
    best_of: (value, { n }) => value === (n ?? 1),
  }),
);

/**
 * Parameters of a chat completion.
 *
 * @throws {ApiError} 400 naming a field that cannot be honored
 */
export function chatParams(body: Body): ChatCompletionParams {
  const params = pick(body, CHAT);
  const { messages } = params;
  // The engine checks the value of every field that it reads.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return {
    ...params,
    messages: Array.isArray(messages) ? messages.map(withKnownRole) : messages,
  } as ChatCompletionParams;
}

/**
 * Parameters of a plain completion.
 *
 * @throws {ApiError} 400 naming a field that cannot be honored
 */
export function completionParams(body: Body): CompletionParams {
  // OpenAI's default, where chat completions go on to the end.
  const params: Body = { max_tokens: 16, ...pick(body, PLAIN) };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return params as unknown as CompletionParams;
}

function pick(body: Body, honored: readonly string[]): Body {
  const params: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === null || value === undefined) continue;
    if (honored.includes(name)) {
      params[name] = value;
    } else if (HARMLESS.get(name)?.(value, body) !== true) {
      const found = HARMLESS.has(name) ? `${name} is ${describeValue(value)}` : name;
      throw refuse(name, `${found}, which this server does not support; leave it out`);
    }
  }
  checkStream(params);
  return params;
}

function checkStream({ stream, stream_options: options }: Body): void {
  if (stream !== undefined && typeof stream !== 'boolean') {
    throw refuse('stream', `stream is ${describeValue(stream)}, expected true or false`);
  }
  if (options === undefined) return;
  if (stream !== true) {
    throw refuse('stream_options', 'stream_options is given, expected stream: true with it');
  }
  const usage = isRecord(options) ? (options['include_usage'] ?? false) : undefined;
  if (typeof usage !== 'boolean') {
    throw refuse(
      'stream_options',
      `stream_options is ${describeValue(options)}, expected {"include_usage": true or false}`,
    );
  }
}

/** Newer models of OpenAI's call the system `developer`; chat templates do not know that word. */
function withKnownRole(message: unknown): unknown {
  return isRecord(message) && message['role'] === 'developer'
    ? { ...message, role: 'system' }
    : message;
}

function refuse(param: string, message: string): ApiError {
  return new ApiError(400, `request: ${message}`, { param, code: 'unsupported_parameter' });
}
