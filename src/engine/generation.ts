/** What a generator is given to continue. @module */
import type { BeamCandidate } from '../kernels/beam_candidates.ts';
import type { SampleResult } from '../kernels/sample.ts';
import type { Decoder, Seq2SeqModel } from '../models/family.ts';
import type { QuernError } from '../util/errors.ts';
import type { FinishReason } from './core/request.ts';
import type { SamplingParams } from './core/sampling.ts';
import type { BeamChoice } from './core/scheduled_step.ts';
import type { BeamRules } from './step_state.ts';

/** A decoder, or an encoder and the decoder that attends to what it makes. */
export type GenerativeModel = Decoder | Seq2SeqModel;

/** The decoder of a model. */
export function decoderOf(model: GenerativeModel): Decoder {
  return 'decoder' in model ? model.decoder : model;
}

/** What every sequence begins with. */
export interface Prompt {
  readonly prompt: readonly number[];
  /** Token ids for the encoder, of an encoder-decoder. */
  readonly encoderInput?: readonly number[] | undefined;
  /** Absent: until a stop id or the end of the context. */
  readonly maxTokens?: number | undefined;
  /** The sequence ended without its last token: the device failed, or the engine was disposed. Called at most once. */
  onError(error: QuernError): void;
}

/** A sequence to continue, as token ids, and whom to tell. */
export interface Generation extends Prompt {
  readonly stopIds: ReadonlySet<number>;
  readonly sampling: SamplingParams | RuledSampling;
  /** A token, in order; `finishReason` is set on the last. May call {@link GenerationHandle.end}. */
  onToken(result: SampleResult, finishReason: FinishReason | undefined): void;
}

/** How tokens are chosen where it differs from token to token. */
export interface RuledSampling {
  /** It depends on what the tokens are, not only on how many: then one is under way at a time. */
  readonly isReactive: boolean;
  /** @param tokens - those before the token to choose; of a rule that is not reactive some may be unknown, and -1 */
  at(tokens: readonly number[]): SamplingParams;
}

/** A beam search: several sequences from one prompt, and who decides which of them go on. */
export interface BeamGeneration extends Prompt {
  readonly numBeams: number;
  /** What the next step is to forbid or rescale, given the tokens of a beam so far. */
  readonly rulesOf: (tokens: readonly number[]) => BeamRules;
  /**
   * The best next tokens of every beam.
   *
   * @returns how each beam goes on, or undefined when the search has ended
   */
  onRound(candidates: readonly (readonly BeamCandidate[])[]): readonly BeamChoice[] | undefined;
}

/** A sequence under way. */
export interface GenerationHandle {
  /** Prompt tokens that the prefix cache spared; known at the first token. */
  readonly cachedTokens: number;
  /** When its first step was submitted, as `performance.now()` counts; undefined before. */
  readonly startedAtMs: number | undefined;
  /** Tokens that were drafted, and those of them that the model sampled too. */
  readonly drafts: { readonly drafted: number; readonly accepted: number };
  /** Ends it now; nothing is reported any more. Does nothing if it has ended. */
  end(): void;
}
