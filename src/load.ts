import type { Engine as EngineInterface, LoadOptions } from './engine/api.ts';
import type { Encoder as EncoderInterface, EncoderOptions } from './engine/encoder_api.ts';
import type { Seq2Seq as Seq2SeqInterface, Seq2SeqOptions } from './engine/seq2seq_api.ts';
import { DownloadError, RequestError } from './util/errors.ts';
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
    checkOptions('Engine', options);
    // Each apart, so that a page whose engine runs in a worker does not fetch the engine itself.
    if (isForPage(options)) {
      const { LocalEngine } = await part(import('./engine/engine.ts'));
      return LocalEngine.load(from, options);
    }
    const { RemoteEngine } = await part(import('./worker/remote_engine.ts'));
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
    checkOptions('Encoder', options);
    if (isForPage(options)) {
      const { LocalEncoder } = await part(import('./engine/encoder.ts'));
      return LocalEncoder.load(from, options);
    }
    const { RemoteEncoder } = await part(import('./worker/remote_encoder.ts'));
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
    checkOptions('Seq2Seq', options);
    if (isForPage(options)) {
      const { LocalSeq2Seq } = await part(import('./engine/seq2seq.ts'));
      return LocalSeq2Seq.load(from, options);
    }
    const { RemoteSeq2Seq } = await part(import('./worker/remote_seq2seq.ts'));
    return RemoteSeq2Seq.load(from, options);
  },
};

/** @throws {DownloadError} if a part of the library is not to be had, as in a page that was opened before a new version came */
async function part<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new DownloadError('quern', `a script could not be loaded (${found}); reload the page`, {
      cause,
    });
  }
}

/** Whether a model runs in the calling thread. */
function isForPage({ worker = false }: Pick<LoadOptions, 'worker'>): boolean {
  return worker === false;
}

/** What an option must be. */
type Check = readonly [expected: string, isOne: (value: unknown) => boolean];

/** Of options that are checked where they are used. */
const ANY = undefined;
const FLAG: Check = ['true or false', (value) => typeof value === 'boolean'];
const FUNCTION: Check = ['a function', (value) => typeof value === 'function'];

const OF_ALL = {
  worker: ANY,
  weights: ANY,
  onProgress: FUNCTION,
  signal: ['an AbortSignal', (value) => isRecord(value) && 'throwIfAborted' in value],
  http: ['an object', isRecord],
  onRecovery: FUNCTION,
  tune: ANY,
  selfTest: ANY,
  gpu: ['a GPU', (value) => isRecord(value) && 'requestAdapter' in value],
  tokenBudget: ANY,
  maxInFlight: ANY,
  powerPreference: oneOf(['low-power', 'high-performance']),
  without: listOf(['shader-f16', 'subgroups', 'timestamp-query']),
  defaultLimits: FLAG,
  integerProducts: FLAG,
} as const satisfies Readonly<Record<keyof EncoderOptions, Check | undefined>>;

const OF_GENERATORS = {
  ...OF_ALL,
  contextLength: ANY,
  kvTokens: ANY,
  kvDtype: ANY,
  pageSize: ANY,
  maxSequences: ANY,
  measureGpuTime: FLAG,
} as const;

const OPTIONS = {
  Engine: {
    ...OF_GENERATORS,
    chatTemplate: ['a string', (value) => typeof value === 'string'],
    speculation: ANY,
  } satisfies Readonly<Record<keyof LoadOptions, Check | undefined>>,
  Encoder: OF_ALL,
  Seq2Seq: { ...OF_GENERATORS, inputLength: ANY } satisfies Readonly<
    Record<keyof Seq2SeqOptions, Check | undefined>
  >,
} as const;

/** @throws {RequestError} if an option is unknown, or of the wrong kind */
function checkOptions(kind: keyof typeof OPTIONS, options: unknown): void {
  if (!isRecord(options)) {
    throw new RequestError(`load: options are ${describeValue(options)}, expected an object`);
  }
  const checks: Readonly<Record<string, Check | undefined>> = OPTIONS[kind];
  for (const [param, value] of Object.entries(options)) {
    if (value === undefined) continue;
    // A slip of the pen would otherwise pass for an option left out.
    if (!Object.hasOwn(checks, param)) {
      throw new RequestError(
        `load: ${param} is no option of ${kind}.load, expected one of: ${Object.keys(checks).join(', ')}`,
        { param },
      );
    }
    const check = checks[param];
    if (check === undefined || check[1](value)) continue;
    throw new RequestError(`load: ${param} is ${describeValue(value)}, expected ${check[0]}`, {
      param,
    });
  }
}

function oneOf(names: readonly string[]): Check {
  return [`one of: ${names.join(', ')}`, (value) => names.some((name) => name === value)];
}

function listOf(names: readonly string[]): Check {
  const [, isOne] = oneOf(names);
  return [`a list of: ${names.join(', ')}`, (value) => Array.isArray(value) && value.every(isOne)];
}
