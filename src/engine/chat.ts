import type { SampleResult } from '../kernels/sample.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { parseMessages, type ChatMessage } from '../tokenizer/chat_template.ts';
import { RequestError } from '../util/errors.ts';
import type { ChatCompletions } from './api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  ChatLogprobs,
  FinishReason,
  TokenLogprob,
} from './openai.ts';
import { checkParams, checkRecord, readFlag, resolveParams } from './params.ts';
import { Replies, type Delta, type RepliesSink } from './replies.ts';
import { newId, overflowRoom, type EngineParts } from './parts.ts';
import { Stream } from './stream.ts';

/** Replies to conversations, in the shapes of OpenAI's chat completions. */
export class LocalChatCompletions implements ChatCompletions {
  readonly #parts: () => EngineParts;

  /** @param parts - the loaded engine; throws if it is disposed */
  constructor(parts: () => EngineParts) {
    this.#parts = parts;
  }

  create(
    params: ChatCompletionParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<ChatCompletionChunk>>;
  create(
    params: ChatCompletionParams & { readonly stream?: false | null },
  ): Promise<ChatCompletion>;
  create(
    params: ChatCompletionParams,
  ): Promise<ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>>;
  async create(
    params: ChatCompletionParams,
  ): Promise<ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>> {
    const { tokenizer, generator, model } = this.#parts();
    checkParams(params);
    const resolved = resolveParams(params, spelling(params), model.defaults, model.vocab);
    const isStream = readFlag('stream', params.stream);
    checkRecord('chat_template_kwargs', params.chat_template_kwargs);
    const room = overflowRoom(generator, resolved);
    const prompt = renderPrompt(tokenizer, params, room);
    const head = {
      id: newId('chatcmpl'),
      created: Math.floor(Date.now() / 1000),
      model: model.name,
    };

    const start: Start = (sink) =>
      new Replies(
        generator,
        () => tokenizer.createStream(),
        [prompt],
        resolved,
        sink,
        params.signal,
      );
    return isStream
      ? streamChunks(start, tokenizer, head, resolved.includeUsage)
      : collect(start, tokenizer, head, resolved.n);
  }
}

type Head = Pick<ChatCompletion, 'id' | 'created' | 'model'>;
type Start = (sink: RepliesSink) => Replies;

function spelling(params: ChatCompletionParams): Parameters<typeof resolveParams>[1] {
  const { top_logprobs: top } = params;
  const logprobs = readFlag('logprobs', params.logprobs);
  if (top !== undefined && top !== null && !logprobs) {
    throw new RequestError('request: top_logprobs is given, expected logprobs: true with it', {
      param: 'top_logprobs',
    });
  }
  const newer = params.max_completion_tokens ?? undefined;
  return {
    maxTokens:
      newer === undefined
        ? { param: 'max_tokens', value: params.max_tokens }
        : { param: 'max_completion_tokens', value: newer },
    topLogprobs: { param: 'top_logprobs', value: logprobs ? (top ?? 0) : undefined },
  };
}

/** Renders and encodes the conversation; drops its oldest turns while it is longer than `room`, where that is asked. */
function renderPrompt(
  tokenizer: Tokenizer,
  { messages, chat_template_kwargs: context }: ChatCompletionParams,
  room: number,
): readonly number[] {
  const encode = (kept: readonly ChatMessage[]): readonly number[] => {
    const options = { addGenerationPrompt: true, ...(context && { context }) };
    return tokenizer.encode(tokenizer.renderChat(kept, options), { addSpecialTokens: false });
  };
  const parsed = parseMessages(messages);
  const system = parsed.filter((message, i) => i === 0 && message.role === 'system');
  const turns = parsed.slice(system.length);
  let ids = encode(parsed);
  // A turn is a user's message with the replies to it: templates often insist that roles alternate.
  while (ids.length > room) {
    const next = turns.findIndex((message, i) => i > 0 && message.role === 'user');
    if (next === -1) break;
    turns.splice(0, next);
    ids = encode([...system, ...turns]);
  }
  return ids;
}

function streamChunks(
  start: Start,
  tokenizer: Tokenizer,
  head: Head,
  includesUsage: boolean,
): AsyncIterableIterator<ChatCompletionChunk> {
  const stream = new Stream<ChatCompletionChunk>(() => replies.cancel());
  const begun = new Set<number>();
  const chunkOf = ({ index, text, tokens, finishReason }: Delta): ChatCompletionChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [
      {
        index,
        delta: {
          ...(begun.has(index) ? {} : { role: 'assistant' }),
          ...(text === '' ? {} : { content: text }),
        },
        finish_reason: finishReason,
        logprobs: tokens.length > 0 ? chatLogprobs(tokenizer, tokens) : null,
      },
    ],
  });
  const replies = start({
    delta(delta, usage) {
      const isSilent = delta.text === '' && delta.tokens.length === 0 && begun.has(delta.index);
      if (isSilent && delta.finishReason === null) return;
      const chunk = chunkOf(delta);
      begun.add(delta.index);
      stream.push({ ...chunk, ...(usage && { usage }) });
      if (usage === undefined) return;
      if (includesUsage) {
        stream.push({ ...head, object: 'chat.completion.chunk', choices: [], usage });
      }
      stream.end();
    },
    fail: (error) => stream.fail(error),
  });
  return stream;
}

function collect(
  start: Start,
  tokenizer: Tokenizer,
  head: Head,
  n: number,
): Promise<ChatCompletion> {
  const texts = Array.from({ length: n }, () => '');
  const tokens = Array.from({ length: n }, (): SampleResult[] => []);
  const reasons = Array.from({ length: n }, (): FinishReason => 'stop');
  return new Promise((resolve, reject) => {
    start({
      delta(delta, usage) {
        texts[delta.index] += delta.text;
        tokens[delta.index]?.push(...delta.tokens);
        if (delta.finishReason !== null) reasons[delta.index] = delta.finishReason;
        if (usage === undefined) return;
        const choices = texts.map((content, index) => ({
          index,
          message: { role: 'assistant' as const, content },
          finish_reason: reasons[index] ?? 'stop',
          logprobs: tokens[index]?.length ? chatLogprobs(tokenizer, tokens[index]) : null,
        }));
        resolve({ ...head, object: 'chat.completion', choices, usage });
      },
      fail: reject,
    });
  });
}

function chatLogprobs(tokenizer: Tokenizer, results: readonly SampleResult[]): ChatLogprobs {
  const describe = (token: number, logprob: number): TokenLogprob => ({
    token: tokenizer.tokenText(token),
    logprob,
    bytes: [...tokenizer.tokenBytes(token)],
  });
  return {
    content: results.map(({ token, logprob, top }) => ({
      ...describe(token, logprob),
      top_logprobs: top.map((other) => describe(other.token, other.logprob)),
    })),
  };
}
