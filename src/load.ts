import type { Engine as EngineInterface, LoadOptions } from './engine/api.ts';
import type { Encoder as EncoderInterface, EncoderOptions } from './engine/encoder_api.ts';
import type { Seq2Seq as Seq2SeqInterface, Seq2SeqOptions } from './engine/seq2seq_api.ts';
import { RequestError } from './util/errors.ts';
import { describeValue, isRecord } from './util/objects.ts';
import type { ModelLocation } from './weights/sources/resolve.ts';

/** A language model on the GPU, ready to reply to any number of requests at once. */
export type Engine = EngineInterface;

/** Makes engines. */
export const Engine: {
  /**
   * Loads a model.
   *
   * @param from - Hugging Face repository id (`owner/name`, `owner/name@revision`), URL of a folder, files a person
   *   picked, a directory handle, or a source of your own
   * @throws {NoWebGpuError} if there is no WebGPU
   * @throws {DeviceLimitError} {@link OutOfMemoryError} if the GPU cannot hold the model
   * @throws {ConfigError} {@link WeightFileError} {@link TokenizerError} if a file is missing, damaged or unsupported
   * @throws {DownloadError} if a file cannot be read
   * @throws {RequestError} if an option is invalid
   * @throws {WorkerError} if the worker cannot be started
   * @throws `signal.reason` when aborted; everything is freed then, in a worker soon after, as after any other error
   */
  readonly load: (from: ModelLocation, options?: LoadOptions) => Promise<Engine>;
} = {
  async load(from, options = {}) {
    checkKinds(options);
    // Each apart, so that a page whose engine runs in a worker does not fetch the engine itself.
    if (isForPage(options)) {
      const { LocalEngine } = await import('./engine/engine.ts');
      return LocalEngine.load(from, options);
    }
    const { RemoteEngine } = await import('./worker/remote_engine.ts');
    return RemoteEngine.load(from, options);
  },
};

/** A model that turns texts into vectors and labels on the GPU. */
export type Encoder = EncoderInterface;

/** Makes encoders. */
export const Encoder: {
  /**
   * Loads an encoder such as BERT, or the encoder of an encoder-decoder such as T5.
   *
   * @param from - as for `Engine.load`. The repository needs a tokenizer for texts only, not for token ids
   * @throws as `Engine.load`; {@link ConfigError} too if the model is of another kind
   */
  readonly load: (from: ModelLocation, options?: EncoderOptions) => Promise<Encoder>;
} = {
  async load(from, options = {}) {
    checkKinds(options);
    if (isForPage(options)) {
      const { LocalEncoder } = await import('./engine/encoder.ts');
      return LocalEncoder.load(from, options);
    }
    const { RemoteEncoder } = await import('./worker/remote_encoder.ts');
    return RemoteEncoder.load(from, options);
  },
};

/** A model that turns one text into another on the GPU, for any number of requests at once. */
export type Seq2Seq = Seq2SeqInterface;

/** Makes encoder-decoders. */
export const Seq2Seq: {
  /**
   * Loads an encoder-decoder such as T5 or BART.
   *
   * @param from - as for `Engine.load`
   * @throws as `Engine.load`; {@link ConfigError} too if the model is of another kind
   */
  readonly load: (from: ModelLocation, options?: Seq2SeqOptions) => Promise<Seq2Seq>;
} = {
  async load(from, options = {}) {
    checkKinds(options);
    if (isForPage(options)) {
      const { LocalSeq2Seq } = await import('./engine/seq2seq.ts');
      return LocalSeq2Seq.load(from, options);
    }
    const { RemoteSeq2Seq } = await import('./worker/remote_seq2seq.ts');
    return RemoteSeq2Seq.load(from, options);
  },
};

/** Whether a model runs in the calling thread. */
function isForPage({ worker = false }: Pick<LoadOptions, 'worker'>): boolean {
  return worker === false;
}

/** What is called or looked into long before its value is checked. */
const KINDS: readonly (readonly [
  name: keyof LoadOptions,
  expected: string,
  isOne: (value: unknown) => boolean,
])[] = [
  ['signal', 'an AbortSignal', (value) => isRecord(value) && 'throwIfAborted' in value],
  ['onProgress', 'a function', (value) => typeof value === 'function'],
  ['onRecovery', 'a function', (value) => typeof value === 'function'],
  ['http', 'an object', isRecord],
  ['gpu', 'a GPU', isRecord],
  ['without', 'an array', Array.isArray],
  ['chatTemplate', 'a string', (value) => typeof value === 'string'],
];

/** @throws {RequestError} if an option is of the wrong kind */
function checkKinds(options: unknown): void {
  if (!isRecord(options)) {
    throw new RequestError(`load: options are ${describeValue(options)}, expected an object`);
  }
  for (const [name, expected, isOne] of KINDS) {
    const value = options[name];
    if (value === undefined || isOne(value)) continue;
    throw new RequestError(`load: ${name} is ${describeValue(value)}, expected ${expected}`, {
      param: name,
    });
  }
}
