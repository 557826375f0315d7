import { ENCODERS } from '../models/encoders.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import type { WeightsReport } from './api.ts';
import type {
  Encoder,
  EncoderInput,
  EncoderStats,
  Encoding,
  EncodingOptions,
  LocalEncoderOptions,
} from './encoder_api.ts';
import type { EncoderTask } from './encoder_batches.ts';
import { checkInput } from './encoder_inputs.ts';
import { EncoderQueue, type EncoderLimits } from './encoder_queue.ts';
import { encodeAll } from './encode_all.ts';
import {
  defaultMaxTokens,
  defaultOutputs,
  namedOutputs,
  planEncoding,
  type EncoderFacts,
} from './encoding_plan.ts';
import type { KernelCheck } from './kernel_check.ts';
import type { Tuner } from './tuner.ts';
import { encoderBudget } from './limits.ts';
import { loadTokenizerIfAny, type ModelFiles } from './model.ts';
import { describePlacement, openFrom, placeModel } from './place.ts';
import { readSentenceConfig } from './sentence_config.ts';

/** What a loaded encoder is made of. */
interface EncoderParts {
  readonly files: Pick<ModelFiles, 'name' | 'modelType' | 'parameters'>;
  readonly facts: EncoderFacts;
  /** @throws {TokenizerError} if the repository has none */
  readonly tokenizer: () => Tokenizer;
  readonly queue: EncoderQueue;
  readonly limits: EncoderLimits;
  readonly kernels: KernelCheck;
  readonly tuner: Tuner;
  readonly weights: WeightsReport;
}

/** An encoder in this thread. */
export class LocalEncoder implements Encoder {
  #parts: EncoderParts | undefined;
  /** Calls that ask for the same share one task, so that they are run together. */
  readonly #tasks = new Map<string, EncoderTask>();

  private constructor(parts: EncoderParts) {
    this.#parts = parts;
  }

  /** Loads a model; see `Encoder.load` in load.ts. */
  static async load(from: ModelLocation, options: LocalEncoderOptions = {}): Promise<LocalEncoder> {
    const { signal } = options;
    // An encoder keeps no cache; its keys and values are in scratch memory.
    const placing = { ...options, kvDtype: 'f32' } as const;
    const { source, opened: files } = await openFrom(from, ENCODERS, placing);
    const [tokenizer, sentence] = await Promise.all([
      loadTokenizerIfAny(source, signal),
      readSentenceConfig(source, signal),
    ]);
    return placeModel(files, placing, async (placement) => {
      const { device, model, kernels, tuner, weights } = placement;
      const { tokenBudget = encoderBudget(device.facts), maxInFlight = 2 } = options;
      const limits = { tokenBudget, maxInFlight };
      const queue = new EncoderQueue(device, model, limits);
      await queue.prepare(placement);
      const { outputs, vocab, tokenTypes, maxPositions } = model;
      const architecture = files.config.architecture() ?? files.modelType;
      const facts = { outputs, vocab, tokenTypes, maxPositions, architecture, sentence };
      return new LocalEncoder({ files, facts, tokenizer, queue, limits, kernels, tuner, weights });
    });
  }

  encode(input: EncoderInput, options?: EncodingOptions): Promise<Encoding>;
  encode(inputs: readonly EncoderInput[], options?: EncodingOptions): Promise<Encoding[]>;
  encode(
    input: EncoderInput | readonly EncoderInput[],
    options?: EncodingOptions,
  ): Promise<Encoding | Encoding[]>;
  async encode(
    input: EncoderInput | readonly EncoderInput[],
    options: EncodingOptions = {},
  ): Promise<Encoding | Encoding[]> {
    const { facts, tokenizer, queue, limits } = this.#alive();
    const plan = planEncoding(options, facts);
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const isOne = !isList(input);
    const inputs = isOne ? [input] : input;
    const nameOf = (index: number): string => (isOne ? 'input' : `inputs[${index}]`);
    for (const [i, one] of inputs.entries()) checkInput(nameOf(i), one);
    const encodings = await encodeAll(inputs, {
      context: { facts, plan, tokenizer },
      nameOf,
      task: this.#taskFor(plan.task),
      queue,
      // Enough for every step under way, and for the next.
      tokensAhead: limits.tokenBudget * (limits.maxInFlight + 1),
      signal,
      onProgress,
    });
    const [first] = encodings;
    return isOne && first !== undefined ? first : encodings;
  }

  async tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#alive().tokenizer().encode(text, options);
  }

  async detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#alive().tokenizer().decode(ids, options);
  }

  async stats(): Promise<EncoderStats> {
    const { files, facts, queue, kernels, tuner, weights } = this.#alive();
    const { device, model } = queue;
    const { name, modelType, parameters } = files;
    const { sentence } = facts;
    const { steps, dispatches, sequences, tokens } = queue.totals;
    return {
      model: {
        name,
        modelType,
        parameters,
        weights,
        vocab: facts.vocab,
        dim: model.dim,
        maxTokens: finiteOrNull(facts.maxPositions),
        defaults: {
          ...(sentence?.pooling !== undefined && { pooling: sentence.pooling }),
          normalize: sentence?.normalize ?? false,
          outputs: defaultOutputs(facts),
          maxTokens: finiteOrNull(defaultMaxTokens(facts)),
        },
        outputs: [...namedOutputs(facts.outputs).keys()],
        ...(model.labels !== undefined && { labels: model.labels }),
      },
      ...describePlacement(device, { kernels, tuner }),
      requests: { running: queue.numRunning, waiting: queue.numWaiting },
      totals: { steps, dispatches, texts: sequences, tokens },
      recoveries: queue.recoveries,
    };
  }

  async dispose(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    await parts?.queue.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #alive(): EncoderParts {
    if (this.#parts === undefined) {
      throw new DisposedError();
    }
    return this.#parts;
  }

  #taskFor(task: EncoderTask): EncoderTask {
    const key = JSON.stringify([task.selects, task.outputs]);
    const known = this.#tasks.get(key);
    if (known !== undefined) return known;
    this.#tasks.set(key, task);
    return task;
  }
}

/** `Array.isArray` does not narrow types of read-only arrays. */
function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

/** Infinity is no number to JSON. */
function finiteOrNull(count: number): number | null {
  return Number.isFinite(count) ? count : null;
}
