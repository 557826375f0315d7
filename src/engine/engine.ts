import { openDevice, type OpenDeviceOptions } from '../gpu/device.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import type { HttpOptions } from '../weights/sources/http.ts';
import { resolveSource, type ModelLocation } from '../weights/sources/resolve.ts';
import type { EngineStats, LoadProgress } from './api.ts';
import { ChatCompletions } from './chat.ts';
import { Completions } from './completions.ts';
import { Generator } from './generator.ts';
import { checkOptions, resolveLimits, type EngineLimits } from './limits.ts';
import { loadTokenizer, openModel, uploadModel } from './model.ts';
import type { EngineParts } from './parts.ts';

export interface LoadOptions extends EngineLimits, OpenDeviceOptions {
  /** WebGPU to use; default `navigator.gpu`. In Node, one that `openGpu` of `quern/node` opened. */
  readonly gpu?: GPU;
  /** Cancels loading; {@link Engine.load} rejects with its reason and frees what it had. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Jinja template to use instead of the repository's own. */
  readonly chatTemplate?: string;
  /** Request headers (such as `Authorization` for gated repositories) and `fetch` to use. */
  readonly http?: HttpOptions;
}

/** A language model on the GPU, ready to reply to any number of requests at once. */
export class Engine {
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  #parts: EngineParts | undefined;

  private constructor(parts: EngineParts) {
    this.#parts = parts;
    const alive = (): EngineParts => this.#alive();
    this.chat = { completions: new ChatCompletions(alive) };
    this.completions = new Completions(alive);
  }

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
   * @throws `signal.reason` when aborted; everything is freed then, as after any other error
   */
  static async load(from: ModelLocation, options: LoadOptions = {}): Promise<Engine> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    checkOptions(options);
    const source = resolveSource(from, options.http);
    onProgress?.({ phase: 'files', loadedBytes: 0, totalBytes: 0 });
    const opened = await openModel(source, signal);
    const tokenizer = await loadTokenizer(source, options.chatTemplate, signal);
    const device = await openDevice(options.gpu, options);
    try {
      const model = await uploadModel(opened, device, { signal, onProgress });
      const limits = resolveLimits(options, model.decoder, device.facts);
      const generator = new Generator(device, model.decoder, limits);
      onProgress?.({ phase: 'compile', loadedBytes: 0, totalBytes: 0 });
      await orAbort(generator.runner.prepare(), signal);
      onProgress?.({ phase: 'ready', loadedBytes: 0, totalBytes: 0 });
      return new Engine({ device, model, tokenizer, generator, limits });
    } catch (error) {
      const failure = device.failure;
      device.dispose();
      signal?.throwIfAborted();
      throw failure ?? error;
    }
  }

  /** Text to token ids; with what the model expects round a plain text unless told otherwise. */
  tokenize(text: string, options?: EncodeOptions): number[] {
    return this.#alive().tokenizer.encode(text, options);
  }

  /** Token ids to text. @throws {RequestError} if an id is not a non-negative integer */
  detokenize(ids: readonly number[], options?: DecodeOptions): string {
    return this.#alive().tokenizer.decode(ids, options);
  }

  /** Model, adapter, memory, and what has been done so far. */
  stats(): EngineStats {
    const { device, model, tokenizer, generator, limits } = this.#alive();
    const { scheduler, runner } = generator;
    const { vendor, architecture, description, isSoftware, hasF16, hasSubgroups } = device.facts;
    return {
      model: {
        name: model.name,
        modelType: model.modelType,
        parameters: model.parameters,
        layers: model.decoder.kv.layers,
        vocab: model.decoder.vocab,
        contextLength: scheduler.capacity,
        hasChatTemplate: tokenizer.hasChatTemplate,
      },
      adapter: { vendor, architecture, description, isSoftware, hasF16, hasSubgroups },
      memory: device.memory.report(),
      kvCache: {
        pageSize: limits.pageSize,
        pages: limits.pages,
        usedPages: limits.pages - scheduler.numFreeBlocks,
        cachedPages: scheduler.numCachedBlocks,
      },
      requests: { running: scheduler.numRunning, waiting: scheduler.numWaiting },
      totals: { ...runner.totals, ...generator.totals },
      pipelines: device.pipelines.size,
    };
  }

  /**
   * Frees the GPU. Open requests and streams end with {@link DisposedError}, and so do later calls. May be called at
   * any time, also twice.
   */
  async dispose(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    if (parts === undefined) return;
    parts.generator.stop();
    parts.device.dispose();
    await parts.device.gpu.lost;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #alive(): EngineParts {
    if (this.#parts === undefined) {
      throw new DisposedError('engine: disposed; load the model again');
    }
    return this.#parts;
  }
}

/** Waits for `work`, or rejects with the signal's reason as soon as it is aborted. */
async function orAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted();
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { signal: settled.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    settled.abort();
    work.catch(() => undefined); // dropped when the abort came first
  }
}
