import { ENCODER_DECODERS } from '../models/encoder_decoders.ts';
import type { DetokenizerStream } from '../tokenizer/detokenizer.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { Generator } from './generator.ts';
import type { KernelCheck } from './kernel_check.ts';
import type { Tuner } from './tuner.ts';
import { resolveLimits } from './limits.ts';
import { failMissing, readTokenizer } from './model.ts';
import { OptionReader, wrongInRequest } from './option_reader.ts';
import { describeGenerator } from './parts.ts';
import { describePlacement, openFrom, placeModel } from './place.ts';
import type {
  LocalSeq2SeqOptions,
  Seq2Seq,
  Seq2SeqChunk,
  Seq2SeqInput,
  Seq2SeqParams,
  Seq2SeqResult,
  Seq2SeqStats,
} from './seq2seq_api.ts';
import { Outputs, type CreateTextStream, type OutputsSink } from './seq2seq_outputs.ts';
import { resolveJobs, type Seq2SeqFacts } from './seq2seq_params.ts';
import { settingsReader } from './seq2seq_settings.ts';
import { Stream } from './stream.ts';

/** What a loaded encoder-decoder is made of. Only the generator holds a device, because it may get another. */
interface Parts extends Seq2SeqFacts {
  readonly model: Omit<Seq2SeqStats['model'], 'inputLength' | 'contextLength'>;
  readonly generator: Generator;
  readonly kernels: KernelCheck;
  readonly tuner: Tuner;
  readonly createStream: (options: DecodeOptions) => CreateTextStream;
}

/** Texts of a model without a tokenizer. */
const NO_TEXT: DetokenizerStream = { push: () => '', flush: () => '' };

/** An encoder-decoder in this thread. */
export class LocalSeq2Seq implements Seq2Seq {
  #parts: Parts | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Loads a model; see `Seq2Seq.load` in load.ts. */
  static async load(from: ModelLocation, options: LocalSeq2SeqOptions = {}): Promise<LocalSeq2Seq> {
    const { source, opened } = await openFrom(from, ENCODER_DECODERS, options);
    const tokenizer = await readTokenizer(source, undefined, options.signal);
    return placeModel(opened, options, async (placement) => {
      const { device, model, kernels, tuner, weights } = placement;
      const { encoder, decoder } = model;
      const settings = settingsReader(opened, decoder.vocab);
      const limits = resolveLimits(options, decoder, device.facts, encoder);
      const generator = new Generator(device, model, limits);
      await generator.prepare(placement);
      const { name, modelType, parameters } = opened;
      const { layers } = decoder.kv;
      return new LocalSeq2Seq({
        model: { name, modelType, parameters, weights, layers, vocab: decoder.vocab },
        vocab: encoder.vocab,
        tokenizer: (): Tokenizer => tokenizer ?? failMissing(source),
        createStream: (options) => (startIds) =>
          tokenizer?.createStream(options, startIds) ?? NO_TEXT,
        settings,
        limits,
        generator,
        kernels,
        tuner,
      });
    });
  }

  generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    params: Seq2SeqParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<Seq2SeqChunk>>;
  generate(
    input: Seq2SeqInput,
    params?: Seq2SeqParams & { readonly stream?: false },
  ): Promise<Seq2SeqResult>;
  generate(
    inputs: readonly Seq2SeqInput[],
    params?: Seq2SeqParams & { readonly stream?: false },
  ): Promise<Seq2SeqResult[]>;
  generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    params?: Seq2SeqParams,
  ): Promise<Seq2SeqResult | Seq2SeqResult[] | AsyncIterableIterator<Seq2SeqChunk>>;
  async generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    params: Seq2SeqParams = {},
  ): Promise<AsyncIterableIterator<Seq2SeqChunk> | Seq2SeqResult | Seq2SeqResult[]> {
    const parts = this.#alive();
    const several: readonly unknown[] = Array.isArray(inputs) ? [...inputs] : [inputs];
    const jobs = resolveJobs(several, params, parts);
    const options = new OptionReader({ ...params }, wrongInRequest);
    const skipSpecialTokens = options.flag('skip_special_tokens') ?? true;
    const createStream = parts.createStream({ skipSpecialTokens });
    const start = (sink: OutputsSink): Outputs =>
      new Outputs(parts.generator, createStream, jobs, sink, params.signal);
    if (options.flag('stream') === true) return stream(start);
    const results = await collect(start);
    const [first] = results;
    return Array.isArray(inputs) || first === undefined ? results : first;
  }

  async tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#alive().tokenizer().encode(text, options);
  }

  async detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#alive().tokenizer().decode(ids, options);
  }

  async stats(): Promise<Seq2SeqStats> {
    const { model, generator, limits, kernels, tuner } = this.#alive();
    const { inputLength, contextLength } = limits;
    return {
      ...describePlacement(generator.device, { kernels, tuner }),
      ...describeGenerator(generator, limits),
      model: { ...model, inputLength, contextLength },
      totals: { ...generator.totals, encoderTokens: generator.encoderTokens },
    };
  }

  async dispose(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    await parts?.generator.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #alive(): Parts {
    if (this.#parts === undefined) {
      throw new DisposedError();
    }
    return this.#parts;
  }
}

function stream(start: (sink: OutputsSink) => Outputs): AsyncIterableIterator<Seq2SeqChunk> {
  const chunks = new Stream<Seq2SeqChunk>(() => outputs.cancel());
  const outputs = start({
    chunk: (chunk) => chunks.push(chunk),
    end: () => chunks.end(),
    fail: (error) => chunks.fail(error),
  });
  return chunks;
}

/** @returns a result for each input */
function collect(start: (sink: OutputsSink) => Outputs): Promise<Seq2SeqResult[]> {
  const results: Seq2SeqResult[] = [];
  return new Promise((resolve, reject) => {
    start({
      chunk({ index, result }) {
        if (result !== undefined) results[index] = result;
      },
      end: () => resolve(results),
      fail: reject,
    });
  });
}
