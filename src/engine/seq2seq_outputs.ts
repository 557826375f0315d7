import type { DetokenizerStream } from '../tokenizer/detokenizer.ts';
import { BeamSearch, candidatesPerBeam, type BeamCandidate } from './core/beam_search.ts';
import { forcedToken, tokenRules } from './core/token_rules.ts';
import type { GenerationHandle } from './generation.ts';
import type { Generator } from './generator.ts';
import type { Seq2SeqChunk, Seq2SeqResult, Seq2SeqSequence } from './seq2seq_api.ts';
import type { Seq2SeqJob } from './seq2seq_params.ts';
import { ruledSampling } from './seq2seq_sampling.ts';

/** Who receives what is generated. */
export interface OutputsSink {
  chunk(chunk: Seq2SeqChunk): void;
  /** After the last chunk. */
  end(): void;
  /** In place of all that would have followed. */
  fail(error: unknown): void;
}

/** Starts the text of a sequence, given the ids that its decoder begins with. */
export type CreateTextStream = (startIds: readonly number[]) => DetokenizerStream;

/** What is generated from the inputs of one request: token ids to text, and beams to sequences. */
export class Outputs {
  readonly #generator: Generator;
  readonly #createStream: CreateTextStream;
  readonly #sink: OutputsSink;
  readonly #handles: GenerationHandle[] = [];
  #numOpen: number;
  /** Aborted when nothing more is to be told; also drops the listener on the caller's signal. */
  readonly #over: AbortController = new AbortController();

  /**
   * Queues every input.
   *
   * @param signal - ends everything; the sink fails with its reason
   * @throws {RequestError} if an input does not fit; nothing is queued then
   * @throws {QuernError} if the model cannot take requests
   */
  constructor(
    generator: Generator,
    createStream: CreateTextStream,
    jobs: readonly Seq2SeqJob[],
    sink: OutputsSink,
    signal?: AbortSignal,
  ) {
    signal?.throwIfAborted();
    this.#generator = generator;
    this.#createStream = createStream;
    this.#sink = sink;
    this.#numOpen = jobs.length;
    try {
      for (const [index, job] of jobs.entries()) {
        const isSearch = job.settings.numBeams > 1;
        this.#handles.push(isSearch ? this.#search(index, job) : this.#sample(index, job));
      }
    } catch (error) {
      this.cancel();
      throw error;
    }
    const onAbort = (): void => this.#fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { signal: this.#over.signal });
    if (jobs.length === 0) sink.end();
  }

  /** Ends everything; the sink hears nothing more. */
  cancel(): void {
    this.#over.abort();
    for (const handle of this.#handles) handle.end();
  }

  #sample(index: number, job: Seq2SeqJob): GenerationHandle {
    const { settings, sampling, ruled, maxTokens, encoderInput } = job;
    const detokenizer = this.#createStream(settings.startIds);
    const ids: number[] = [];
    let all = '';
    return this.#generator.add({
      prompt: settings.startIds,
      encoderInput,
      maxTokens,
      stopIds: settings.eosIds,
      sampling: ruledSampling(sampling, settings.rules, ruled),
      onToken: ({ token }, reason) =>
        this.#tell(reason !== undefined, () => {
          ids.push(token);
          const isLast = reason !== undefined;
          const text = detokenizer.push(token) + (isLast ? detokenizer.flush() : '');
          all += text;
          if (!isLast) return { index, text, ids: [token], finish_reason: null };
          const finish_reason = reason === 'stop' ? 'stop' : 'length';
          const result = resultOf(job, [{ text: all, ids, finish_reason }]);
          return { index, text, ids: [token], finish_reason, result };
        }),
      onError: (error) => this.#fail(error),
    });
  }

  #search(index: number, job: Seq2SeqJob): GenerationHandle {
    const { settings, ruled, maxTokens, encoderInput } = job;
    const { startIds, eosIds, numBeams, rules, renormalizes } = settings;
    const search = new BeamSearch({ ...settings, maxNewTokens: maxTokens });
    const rulesOf = tokenRules(rules, ruled);
    const count = candidatesPerBeam(numBeams, eosIds.size);
    let length = startIds.length;
    return this.#generator.addBeams({
      prompt: startIds,
      encoderInput,
      maxTokens,
      numBeams,
      rulesOf: (tokens) => {
        const { forced, factors } = rulesOf(tokens);
        return { count: forced === undefined ? count : 0, factors, renormalizes };
      },
      onRound: (candidates) => {
        const forced = forcedToken(rules, ruled, length);
        length += 1;
        const only: readonly BeamCandidate[] | undefined =
          forced === undefined ? undefined : [{ token: forced, score: 0 }];
        const round = search.advance(candidates.map((found) => only ?? found));
        if (round.kind === 'continue') return round.choices;
        this.#tell(true, () => {
          const sequences = round.hypotheses.map(({ tokens, score }): Seq2SeqSequence => {
            const isEnded = eosIds.has(tokens.at(-1) ?? -1);
            const text = this.#textOf(tokens, startIds);
            return { text, ids: tokens, score, finish_reason: isEnded ? 'stop' : 'length' };
          });
          const result = resultOf(job, sequences);
          const { text, ids, finish_reason } = result;
          return { index, text, ids, finish_reason, result };
        });
        return undefined;
      },
      onError: (error) => this.#fail(error),
    });
  }

  #textOf(tokens: readonly number[], startIds: readonly number[]): string {
    const stream = this.#createStream(startIds);
    return tokens.map((token) => stream.push(token)).join('') + stream.flush();
  }

  /** A tokenizer that fails on this request must not end the others. */
  #tell(isLast: boolean, makeChunk: () => Seq2SeqChunk): void {
    if (this.#over.signal.aborted) return;
    try {
      this.#sink.chunk(makeChunk());
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!isLast) return;
    this.#numOpen -= 1;
    if (this.#numOpen > 0) return;
    this.#over.abort();
    this.#sink.end();
  }

  #fail(error: unknown): void {
    if (this.#over.signal.aborted) return;
    this.cancel();
    this.#sink.fail(error);
  }
}

function resultOf(
  { encoderInput }: Seq2SeqJob,
  sequences: readonly Seq2SeqSequence[],
): Seq2SeqResult {
  // A search whose rules allow no token finds nothing.
  const best: Seq2SeqSequence = sequences[0] ?? { text: '', ids: [], finish_reason: 'length' };
  const output_tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  return { ...best, sequences, usage: { input_tokens: encoderInput.length, output_tokens } };
}
