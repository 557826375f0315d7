import type { ChatCompletions, Completions, Engine, EngineStats } from '../../src/engine/api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
  FinishReason,
  GenerationParams,
  Usage,
} from '../../src/engine/openai.ts';
import { Stream } from '../../src/engine/stream.ts';
import { DisposedError } from '../../src/util/errors.ts';

/** What the engine says next. */
export interface Script {
  /** Pieces of text. A promise holds the reply up. */
  readonly pieces: readonly (string | Promise<string>)[];
  readonly finishReason?: FinishReason;
  /** Instead of an end. */
  readonly error?: unknown;
  /** Instead of anything. */
  readonly refusal?: unknown;
}

const USAGE: Usage = {
  prompt_tokens: 11,
  completion_tokens: 3,
  total_tokens: 14,
  prompt_tokens_details: { cached_tokens: 4 },
  timings: {
    time_to_first_token_ms: 20,
    prefill_tokens_per_second: 350,
    decode_tokens_per_second: 100,
    total_ms: 40,
  },
};
const HEAD = { id: 'reply-1', created: 1_700_000_000, model: 'scripted' };

/** An engine without a model: every request gets the same script, and is kept to be looked at. */
export class ScriptedEngine implements Engine {
  readonly requests: (ChatCompletionParams | CompletionParams)[] = [];
  script: Script;
  /** Requests whose stream was left, or aborted, before the end. */
  cancelled = 0;
  isDisposed = false;
  readonly chat: Engine['chat'];
  readonly completions: Engine['completions'];

  constructor(script: Script = { pieces: ['Hel', 'lo', '.'] }) {
    this.script = script;
    // One function stands for the overloads.
    const chat = { create: (params: ChatCompletionParams) => this.#chat(params) };
    const completions = { create: (params: CompletionParams) => this.#plain(params) };
    this.chat = { completions: chat as ChatCompletions };
    this.completions = completions as Completions;
  }

  async tokenize(text: string): Promise<number[]> {
    return Array.from(text, (character) => character.codePointAt(0) ?? 0);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    return String.fromCodePoint(...ids);
  }

  async stats(): Promise<EngineStats> {
    if (this.isDisposed) throw new DisposedError('engine: disposed');
    return {
      model: { name: 'scripted', hasChatTemplate: true },
      requests: { running: 0, waiting: 0 },
    } as EngineStats;
  }

  async dispose(): Promise<void> {
    this.isDisposed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #chat(params: ChatCompletionParams): Promise<unknown> {
    const { pieces, finishReason } = this.#begin(params);
    const logprobs = null;
    if (params.stream === true) {
      return this.#stream<ChatCompletionChunk>(
        params,
        (piece, reason, index) => ({
          ...HEAD,
          object: 'chat.completion.chunk',
          choices: [
            {
              index: 0,
              delta: {
                ...(index === 0 && { role: 'assistant' }),
                ...(piece !== '' && { content: piece }),
              },
              finish_reason: reason,
              logprobs,
            },
          ],
        }),
        { ...HEAD, object: 'chat.completion.chunk', choices: [], usage: USAGE },
      );
    }
    const content = (await this.#all(params, pieces)).join('');
    const reply: ChatCompletion = {
      ...HEAD,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content },
          finish_reason: finishReason ?? 'stop',
          logprobs,
        },
      ],
      usage: USAGE,
    };
    return reply;
  }

  async #plain(params: CompletionParams): Promise<unknown> {
    const { pieces, finishReason } = this.#begin(params);
    const choice = { index: 0, logprobs: null };
    if (params.stream === true) {
      return this.#stream<CompletionChunk>(
        params,
        (text, reason) => ({
          ...HEAD,
          object: 'text_completion',
          choices: [{ ...choice, text, finish_reason: reason }],
        }),
        { ...HEAD, object: 'text_completion', choices: [], usage: USAGE },
      );
    }
    const text = (await this.#all(params, pieces)).join('');
    const reply: Completion = {
      ...HEAD,
      object: 'text_completion',
      choices: [{ ...choice, text, finish_reason: finishReason ?? 'stop' }],
      usage: USAGE,
    };
    return reply;
  }

  #begin(params: ChatCompletionParams | CompletionParams): Script {
    params.signal?.throwIfAborted();
    if (this.isDisposed) throw new DisposedError('engine: disposed; load the model again');
    this.requests.push(params);
    if (this.script.refusal !== undefined) throw this.script.refusal;
    return this.script;
  }

  async #all(params: GenerationParams, pieces: Script['pieces']): Promise<readonly string[]> {
    const texts = await Promise.race([
      Promise.all(pieces.map(async (piece) => piece)),
      this.#aborted(params),
    ]);
    if (this.script.error !== undefined) throw this.script.error;
    return texts;
  }

  #aborted({ signal }: GenerationParams): Promise<never> {
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => {
        this.cancelled += 1;
        reject(signal.reason as Error);
      });
    });
  }

  #stream<C extends { readonly choices: readonly unknown[]; readonly usage?: Usage }>(
    params: GenerationParams,
    chunkOf: (piece: string, reason: FinishReason | null, index: number) => C,
    usageChunk: C,
  ): Stream<C> {
    const { pieces, finishReason = 'stop', error } = this.script;
    const stream = new Stream<C>(() => void (this.cancelled += 1));
    this.#aborted(params).catch((reason: unknown) => stream.fail(reason));
    const talk = async (): Promise<void> => {
      for (const [index, piece] of pieces.entries()) {
        stream.push(chunkOf(await piece, null, index));
      }
      if (error !== undefined) {
        stream.fail(error);
        return;
      }
      stream.push({ ...chunkOf('', finishReason, pieces.length), usage: USAGE });
      if (params.stream_options?.include_usage === true) stream.push(usageChunk);
      stream.end();
    };
    void talk();
    return stream;
  }
}
