import { openDevice, type Device } from '../gpu/device.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import type { Decoder } from '../models/family.ts';
import { orAbort } from '../util/or_abort.ts';
import { resolveSource, type ModelLocation } from '../weights/sources/resolve.ts';
import type { Engine, EngineStats, LocalLoadOptions } from './api.ts';
import { LocalChatCompletions } from './chat.ts';
import { LocalCompletions } from './completions.ts';
import { setUpOn } from './failure.ts';
import { Generator } from './generator.ts';
import { KernelCheck } from './kernel_check.ts';
import { checkOptions, resolveLimits } from './limits.ts';
import {
  type GenerationDefaults,
  generationDefaults,
  loadTokenizer,
  openModel,
  uploadModel,
} from './model.ts';
import type { EngineParts } from './parts.ts';
import { Recovery, type PlacedModel } from './recovery.ts';

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
    const opened = await openModel(source, 'decoder', signal);
    const defaults = generationDefaults(opened);
    const tokenizer = await loadTokenizer(source, options.chatTemplate, signal);
    const open = (): Promise<Device> => openDevice(options.gpu, options);
    const { selfTest: mode = 'auto', kvDtype } = options;
    const kernels = new KernelCheck({ mode, open, tensors: opened.checkpoint.tensors, kvDtype });
    /** Here and again whenever the device is lost, on whatever adapter there is then. */
    const place = async (
      signal: AbortSignal | undefined,
      onProgress?: LocalLoadOptions['onProgress'],
    ): Promise<PlacedModel<Decoder>> => {
      const device = await open();
      return setUpOn(device, signal, async () => {
        const model = await uploadModel(opened, device, { signal, onProgress });
        onProgress?.({ phase: 'compile', loadedBytes: 0, totalBytes: 0 });
        await orAbort(kernels.run(device, signal), signal);
        return { device, model };
      });
    };
    const { device, model: decoder } = await place(signal, onProgress);
    return setUpOn(device, signal, async () => {
      const limits = resolveLimits(options, decoder, device.facts);
      const generator = new Generator(device, decoder, limits);
      const recovery = new Recovery({ place, onRecovery: options.onRecovery });
      await orAbort(generator.prepare(recovery), signal);
      onProgress?.({ phase: 'ready', loadedBytes: 0, totalBytes: 0 });
      const { name, modelType, parameters } = opened;
      const { vocab, kv } = decoder;
      const model = { name, modelType, parameters, defaults, vocab, layers: kv.layers };
      return new LocalEngine({ model, tokenizer, generator, limits, kernels });
    });
  }

  async tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#alive().tokenizer.encode(text, options);
  }

  async detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#alive().tokenizer.decode(ids, options);
  }

  async stats(): Promise<EngineStats> {
    const { model, tokenizer, generator, limits, kernels } = this.#alive();
    const { scheduler, device } = generator;
    const { vendor, architecture, description, isSoftware, hasF16, hasSubgroups } = device.facts;
    return {
      model: {
        name: model.name,
        modelType: model.modelType,
        parameters: model.parameters,
        layers: model.layers,
        vocab: model.vocab,
        contextLength: scheduler.capacity,
        hasChatTemplate: tokenizer.hasChatTemplate,
        defaults: describeDefaults(model.defaults),
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
      totals: generator.totals,
      pipelines: device.pipelines.size,
      thread: thisThread(),
      recoveries: generator.recoveries,
      selfTest: kernels.report,
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

  #alive(): EngineParts {
    if (this.#parts === undefined) {
      throw new DisposedError('engine: disposed; load the model again');
    }
    return this.#parts;
  }
}

/** Also in a worker of the caller's own. */
function thisThread(): EngineStats['thread'] {
  if ('SharedWorkerGlobalScope' in globalThis) return 'shared-worker';
  return 'WorkerGlobalScope' in globalThis ? 'worker' : 'page';
}

/** In the words of a request. */
function describeDefaults(defaults: GenerationDefaults): EngineStats['model']['defaults'] {
  const { temperature, topP, topK, minP, repetitionPenalty, maxTokens } = defaults;
  return {
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
  };
}
