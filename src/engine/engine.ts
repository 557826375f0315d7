import { openDevice } from '../gpu/device.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import { resolveSource, type ModelLocation } from '../weights/sources/resolve.ts';
import type { Engine, EngineStats, LocalLoadOptions } from './api.ts';
import { LocalChatCompletions } from './chat.ts';
import { LocalCompletions } from './completions.ts';
import { Generator } from './generator.ts';
import { checkOptions, resolveLimits } from './limits.ts';
import { loadTokenizer, openModel, uploadModel } from './model.ts';
import type { EngineParts } from './parts.ts';

/** An engine in this thread. */
export class LocalEngine implements Engine {
  readonly chat: Engine['chat'];
  readonly completions: Engine['completions'];
  #parts: EngineParts | undefined;

  private constructor(parts: EngineParts) {
    this.#parts = parts;
    const alive = (): EngineParts => this.#alive();
    this.chat = { completions: new LocalChatCompletions(alive) };
    this.completions = new LocalCompletions(alive);
  }

  /** Loads a model; see `Engine.load` in load.ts. */
  static async load(from: ModelLocation, options: LocalLoadOptions = {}): Promise<LocalEngine> {
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
      return new LocalEngine({ device, model, tokenizer, generator, limits });
    } catch (error) {
      const failure = device.failure;
      device.dispose();
      signal?.throwIfAborted();
      throw failure ?? error;
    }
  }

  async tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#alive().tokenizer.encode(text, options);
  }

  async detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#alive().tokenizer.decode(ids, options);
  }

  async stats(): Promise<EngineStats> {
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
      thread: 'page',
      recoveries: 0,
      selfTest: { status: 'skipped', checked: [], dropped: [], elapsedMs: 0 },
    };
  }

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
