import type { SampleResult } from '../kernels/sample.ts';
import type { DetokenizerStream } from '../tokenizer/detokenizer.ts';
import { StopStrings } from '../tokenizer/stop_strings.ts';
import type { FinishReason, Timings, Usage } from './openai.ts';
import type { GenerationHandle } from './generation.ts';
import type { Generator } from './generator.ts';
import { seedOf, type ResolvedParams } from './params.ts';

/** New text of one reply. */
export interface Delta {
  /** Which of the request's replies. */
  readonly index: number;
  /** Text that no later token can change; may be empty. */
  readonly text: string;
  /** Tokens behind this delta, where log-probabilities were asked for. */
  readonly tokens: readonly SampleResult[];
  /** Set on a reply's last delta. */
  readonly finishReason: FinishReason | null;
}

/** Who receives a request's replies. */
export interface RepliesSink {
  /** @param usage - given with the last delta of the last reply */
  delta(delta: Delta, usage: Usage | undefined): void;
  fail(error: unknown): void;
}

interface Reply {
  readonly index: number;
  readonly promptTokens: number;
  /** The first reply to its prompt; the others share the prompt's cost. */
  readonly isFirst: boolean;
  readonly detokenizer: DetokenizerStream;
  readonly stops: StopStrings;
  handle: GenerationHandle | undefined;
  tokens: number;
  isOpen: boolean;
}

/** The replies to one request: token ids to text, stop strings, and what it all took. */
export class Replies {
  readonly #params: ResolvedParams;
  readonly #speculates: boolean;
  readonly #sink: RepliesSink;
  readonly #replies: readonly Reply[];
  readonly #startMs: number = performance.now();
  #firstTokenMs: number | undefined;
  /** Aborted when nothing more is to be told; also drops the listener on the caller's signal. */
  readonly #over: AbortController = new AbortController();

  /**
   * Queues every reply.
   *
   * @param createStream - starts the text of a reply to a prompt
   * @param prompts - token ids; `params.n` replies each, in this order
   * @param signal - ends everything; the sink fails with its reason
   * @throws {RequestError} if a prompt is empty or does not fit; nothing is queued then
   * @throws {QuernError} if the engine cannot take requests
   */
  constructor(
    generator: Generator,
    createStream: (prompt: readonly number[]) => DetokenizerStream,
    prompts: readonly (readonly number[])[],
    params: ResolvedParams,
    sink: RepliesSink,
    signal?: AbortSignal,
  ) {
    signal?.throwIfAborted();
    this.#params = params;
    this.#speculates = generator.speculates;
    this.#sink = sink;
    const choices = prompts.flatMap((prompt) => Array.from({ length: params.n }, () => prompt));
    this.#replies = choices.map((prompt, index) => ({
      index,
      promptTokens: prompt.length,
      isFirst: index % params.n === 0,
      detokenizer: createStream(prompt),
      stops: new StopStrings(params.stopStrings),
      handle: undefined,
      tokens: 0,
      isOpen: true,
    }));
    try {
      for (const [index, reply] of this.#replies.entries()) {
        reply.handle = generator.add({
          prompt: choices[index] ?? [],
          maxTokens: params.maxTokens,
          stopIds: params.stopIds,
          sampling: { ...params.sampling, seed: seedOf(params.seed, index % params.n) },
          onToken: (result, reason) => this.#push(reply, result, replyReason(reason)),
          onError: (error) => this.#fail(error),
        });
      }
    } catch (error) {
      this.cancel();
      throw error;
    }
    const onAbort = (): void => this.#fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { signal: this.#over.signal });
  }

  /** Ends every reply; the sink hears nothing more. */
  cancel(): void {
    this.#over.abort();
    for (const { handle } of this.#replies) handle?.end();
  }

  /** A tokenizer that fails on this reply must not end the others. */
  #push(reply: Reply, result: SampleResult, reason: FinishReason | null): void {
    if (this.#over.signal.aborted || !reply.isOpen) return;
    try {
      this.#take(reply, result, reason);
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(reply: Reply, result: SampleResult, reason: FinishReason | null): void {
    this.#firstTokenMs ??= performance.now();
    reply.tokens += 1;
    // A stop token is not part of the reply.
    const isStopToken = reason === 'stop';
    const raw = isStopToken ? '' : reply.detokenizer.push(result.token);
    let { text, stopped } = reply.stops.push(raw);
    if (!stopped && reason !== null) {
      const rest = reply.stops.push(reply.detokenizer.flush());
      text += rest.text;
      stopped = rest.stopped;
      if (!stopped) text += reply.stops.flush();
    }
    const finishReason = stopped ? 'stop' : reason;
    if (finishReason !== null) {
      reply.isOpen = false;
      reply.handle?.end();
    }
    const wantsTokens = this.#params.sampling.topLogprobs !== undefined && !isStopToken;
    const isLast = this.#replies.every(({ isOpen }) => !isOpen);
    const tokens = wantsTokens ? [result] : [];
    const delta = { index: reply.index, text, tokens, finishReason };
    this.#sink.delta(delta, isLast ? this.#usage() : undefined);
    if (isLast) this.#over.abort();
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    this.cancel();
    this.#sink.fail(error);
  }

  #usage(): Usage {
    const firsts = this.#replies.filter(({ isFirst }) => isFirst);
    const promptTokens = firsts.reduce((sum, reply) => sum + reply.promptTokens, 0);
    const cached = firsts.reduce((sum, { handle }) => sum + (handle?.cachedTokens ?? 0), 0);
    const completionTokens = this.#replies.reduce((sum, { tokens }) => sum + tokens, 0);
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: cached },
      ...(this.#speculates && { completion_tokens_details: this.#predictions() }),
      timings: this.#timings(promptTokens - cached, completionTokens - this.#replies.length),
    };
  }

  #predictions(): NonNullable<Usage['completion_tokens_details']> {
    const drafts = this.#replies.map(({ handle }) => handle?.drafts);
    const accepted = drafts.reduce((sum, one) => sum + (one?.accepted ?? 0), 0);
    const drafted = drafts.reduce((sum, one) => sum + (one?.drafted ?? 0), 0);
    return {
      accepted_prediction_tokens: accepted,
      rejected_prediction_tokens: drafted - accepted,
    };
  }

  /** @param computed - prompt tokens that were not cached; @param later - tokens after each reply's first */
  #timings(computed: number, later: number): Timings {
    const endMs = performance.now();
    const firstMs = this.#firstTokenMs ?? endMs;
    const started = this.#replies.map(({ handle }) => handle?.startedAtMs ?? firstMs);
    const perSecond = (tokens: number, ms: number): number => (ms > 0 ? (tokens * 1000) / ms : 0);
    return {
      time_to_first_token_ms: firstMs - this.#startMs,
      prefill_tokens_per_second: perSecond(computed, firstMs - Math.min(...started)),
      decode_tokens_per_second: perSecond(later, endMs - firstMs),
      total_ms: endMs - this.#startMs,
    };
  }
}

/** Ends that are told in other ways (abort, error) never come with a token. */
function replyReason(
  reason: 'stop' | 'length' | 'abort' | 'error' | undefined,
): FinishReason | null {
  if (reason === undefined) return null;
  return reason === 'stop' ? 'stop' : 'length';
}
