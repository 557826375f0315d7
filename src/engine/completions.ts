import type { SampleResult } from '../kernels/sample.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Completions } from './api.ts';
import type {
  Completion,
  CompletionChoice,
  CompletionChunk,
  CompletionLogprobs,
  CompletionParams,
  FinishReason,
} from './openai.ts';
import { wrongInRequest } from './option_reader.ts';
import { checkParams, checkTokenIds, readFlag, resolveParams } from './params.ts';
import { newId, overflowRoom, type EngineParts } from './parts.ts';
import { Replies, type Delta, type RepliesSink } from './replies.ts';
import { Stream } from './stream.ts';

/** Continuations of texts, in the shapes of OpenAI's completions. */
export class LocalCompletions implements Completions {
  readonly #parts: () => EngineParts;

  /** @param parts - the loaded engine; throws if it is disposed */
  constructor(parts: () => EngineParts) {
    this.#parts = parts;
  }

  create(
    params: CompletionParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<CompletionChunk>>;
  create(params: CompletionParams & { readonly stream?: false | null }): Promise<Completion>;
  create(params: CompletionParams): Promise<Completion | AsyncIterableIterator<CompletionChunk>>;
  async create(
    params: CompletionParams,
  ): Promise<Completion | AsyncIterableIterator<CompletionChunk>> {
    const { tokenizer, generator, model } = this.#parts();
    checkParams(params);
    const { vocab } = model;
    const spelling = {
      maxTokens: { param: 'max_tokens', value: params.max_tokens },
      topLogprobs: { param: 'logprobs', value: params.logprobs },
    };
    const resolved = resolveParams(params, spelling, model.defaults, vocab);
    const isStream = readFlag('stream', params.stream);
    const isEcho = readFlag('echo', params.echo);
    const room = overflowRoom(generator, resolved);
    const bos = tokenizer.specialTokens.bos?.id;
    const prompts = readPrompts(params.prompt, tokenizer, vocab).map((ids) =>
      truncate(ids, room, bos),
    );
    const createStream = (prompt: readonly number[]) => tokenizer.createStream({}, prompt);
    const head = { id: newId('cmpl'), created: Math.floor(Date.now() / 1000), model: model.name };
    const texts = prompts.flatMap((ids) => {
      const text = isEcho ? tokenizer.decode(ids) : '';
      return Array.from({ length: resolved.n }, () => text);
    });
    const run: Run = {
      head,
      tokenizer,
      texts,
      includesUsage: resolved.includeUsage,
      start: (sink) => new Replies(generator, createStream, prompts, resolved, sink, params.signal),
    };
    return isStream ? streamChunks(run) : collect(run);
  }
}

interface Run {
  readonly head: Pick<Completion, 'id' | 'created' | 'model'>;
  readonly tokenizer: Tokenizer;
  /** What each reply begins with: the echoed prompt or nothing. */
  readonly texts: readonly string[];
  readonly includesUsage: boolean;
  readonly start: (sink: RepliesSink) => Replies;
}

function readPrompts(
  prompt: unknown,
  tokenizer: Tokenizer,
  vocab: number,
): readonly (readonly number[])[] {
  const encode = (one: unknown): readonly number[] => {
    if (typeof one === 'string') return tokenizer.encode(one);
    if (!Array.isArray(one)) {
      throw wrongInRequest('prompt', one, 'text, token ids, or a list of either');
    }
    checkTokenIds('prompt', one, vocab);
    return one.map(Number);
  };
  const isSeveral =
    Array.isArray(prompt) && prompt.some((one) => typeof one === 'string' || Array.isArray(one));
  const several: readonly unknown[] = isSeveral ? prompt : [prompt];
  return several.map(encode);
}

/** The last `room` tokens, the BOS token in front if the prompt has one. */
function truncate(
  ids: readonly number[],
  room: number,
  bos: number | undefined,
): readonly number[] {
  if (ids.length <= room) return ids;
  const [first] = ids;
  return first !== undefined && first === bos
    ? [first, ...ids.slice(ids.length - room + 1)]
    : ids.slice(-room);
}

function streamChunks(run: Run): AsyncIterableIterator<CompletionChunk> {
  const { head, tokenizer, texts, includesUsage } = run;
  const stream = new Stream<CompletionChunk>(() => replies.cancel());
  const lengths = texts.map(() => 0);
  const echoes = [...texts];
  const chunkOf = ({ index, text, tokens, finishReason }: Delta): CompletionChunk => {
    const shown = (echoes[index] ?? '') + text;
    const offset = (lengths[index] ?? 0) + (echoes[index] ?? '').length;
    echoes[index] = '';
    lengths[index] = (lengths[index] ?? 0) + shown.length;
    const logprobs = tokens.length > 0 ? completionLogprobs(tokenizer, tokens, offset) : null;
    return {
      ...head,
      object: 'text_completion',
      choices: [{ index, text: shown, finish_reason: finishReason, logprobs }],
    };
  };
  const replies = run.start({
    delta(delta, usage) {
      const isSilent = delta.text === '' && delta.tokens.length === 0;
      if (isSilent && delta.finishReason === null) return;
      stream.push({ ...chunkOf(delta), ...(usage && { usage }) });
      if (usage === undefined) return;
      if (includesUsage) stream.push({ ...head, object: 'text_completion', choices: [], usage });
      stream.end();
    },
    fail: (error) => stream.fail(error),
  });
  return stream;
}

function collect({ head, tokenizer, texts, start }: Run): Promise<Completion> {
  const replies = texts.map((text) => ({
    text,
    tokens: [] as SampleResult[],
    reason: 'stop' as FinishReason,
  }));
  return new Promise((resolve, reject) => {
    start({
      delta({ index, text, tokens, finishReason }, usage) {
        const reply = replies[index];
        if (reply === undefined) return;
        reply.text += text;
        reply.tokens.push(...tokens);
        reply.reason = finishReason ?? reply.reason;
        if (usage === undefined) return;
        const choices = replies.map(
          ({ text, tokens, reason }, index): CompletionChoice<FinishReason> => ({
            index,
            text,
            finish_reason: reason,
            logprobs:
              tokens.length > 0
                ? completionLogprobs(tokenizer, tokens, texts[index]?.length ?? 0)
                : null,
          }),
        );
        resolve({ ...head, object: 'text_completion', choices, usage });
      },
      fail: reject,
    });
  });
}

function completionLogprobs(
  tokenizer: Tokenizer,
  results: readonly SampleResult[],
  firstOffset: number,
): CompletionLogprobs {
  let offset = firstOffset;
  const tokens = results.map(({ token }) => tokenizer.tokenText(token));
  return {
    tokens,
    token_logprobs: results.map(({ logprob }) => logprob),
    top_logprobs: results.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [tokenizer.tokenText(token), logprob])),
    ),
    text_offset: tokens.map((text) => {
      const at = offset;
      offset += text.length;
      return at;
    }),
  };
}
