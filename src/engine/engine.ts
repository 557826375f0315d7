import { DECODERS } from '../models/decoders.ts';
import type { Decoder } from '../models/family.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { DisposedError } from '../util/errors.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import type { Engine, EngineStats, LocalLoadOptions } from './api.ts';
import { LocalChatCompletions } from './chat.ts';
import { LocalCompletions } from './completions.ts';
import { limitsOfDraft, openDraft } from './draft_model.ts';
import { Generator } from './generator.ts';
import { resolveLimits } from './limits.ts';
import { type GenerationDefaults, generationDefaults, loadTokenizer } from './model.ts';
import { describeGenerator, type EngineParts } from './parts.ts';
import { describePlacement, openFrom, placeModel, type Placement } from './place.ts';
import { resolveSpeculation, withDrafts } from './speculation_options.ts';

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
    const { signal } = options;
    const speculation = resolveSpeculation(options.speculation);
    const { source, opened } = await openFrom(from, DECODERS, options);
    const defaults = generationDefaults(opened);
    const tokenizer = await loadTokenizer(source, options.chatTemplate, signal);
    const openedDraft = await openDraft(speculation, tokenizer, options);
    const setUp = async (placement: Placement<Decoder>): Promise<LocalEngine> => {
      const { device, model: decoder, draft, kernels, tuner, weights } = placement;
      const limits = withDrafts(resolveLimits(options, decoder, device.facts), speculation);
      const draftLimits = draft && limitsOfDraft(limits, draft, device.facts);
      const generator = new Generator(device, decoder, limits, { draft, draftLimits });
      await generator.prepare(placement);
      const { name, modelType, parameters } = opened;
      const { vocab, kv } = decoder;
      const facts = { name, modelType, parameters, weights, defaults, vocab, layers: kv.layers };
      return new LocalEngine({ model: facts, tokenizer, generator, limits, kernels, tuner });
    };
    return placeModel(opened, options, setUp, openedDraft);
  }

  async tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#alive().tokenizer.encode(text, options);
  }

  async detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#alive().tokenizer.decode(ids, options);
  }

  async stats(): Promise<EngineStats> {
    const { model, tokenizer, generator, limits, kernels, tuner } = this.#alive();
    return {
      model: {
        name: model.name,
        modelType: model.modelType,
        parameters: model.parameters,
        weights: model.weights,
        layers: model.layers,
        vocab: model.vocab,
        contextLength: generator.scheduler.capacity,
        hasChatTemplate: tokenizer.hasChatTemplate,
        defaults: describeDefaults(model.defaults),
      },
      ...describePlacement(generator.device, { kernels, tuner }),
      ...describeGenerator(generator, limits),
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
      throw new DisposedError();
    }
    return this.#parts;
  }
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
