import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  SharedV4Warning,
} from '@ai-sdk/provider';
import type { Engine } from '../engine/api.ts';
import type { ChatCompletionChunk, Usage } from '../engine/openai.ts';
import { orAbort } from '../util/or_abort.ts';
import { finishReasonOf, metadataOf, requestOf, usageOf } from './call.ts';

/** Settings of a language model. */
export interface LanguageModelSettings {
  /** What the AI SDK calls the model, e.g. in its telemetry. Default `quern`. */
  readonly modelId?: string;
}

/** A model in this page or process, as the AI SDK sees it. https://ai-sdk.dev/providers/community-providers */
export class QuernLanguageModel implements LanguageModelV4 {
  readonly specificationVersion = 'v4';
  readonly provider = 'quern';
  readonly modelId: string;
  /** None: the model reads only text. */
  readonly supportedUrls: LanguageModelV4['supportedUrls'] = {};
  readonly #engine: Engine | PromiseLike<Engine>;

  constructor(engine: Engine | PromiseLike<Engine>, { modelId }: LanguageModelSettings = {}) {
    this.#engine = engine;
    this.modelId = modelId ?? 'quern';
  }

  /** Replies at once. Errors as for `engine.chat.completions.create`. */
  async doGenerate(options: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> {
    const { params, warnings } = requestOf(options);
    const engine = await orAbort(Promise.resolve(this.#engine), options.abortSignal);
    const { id, created, model, choices, usage } = await engine.chat.completions.create({
      ...params,
      stream: false,
    });
    const [choice] = choices;
    return {
      content: [{ type: 'text', text: choice?.message.content ?? '' }],
      finishReason: finishReasonOf(choice?.finish_reason ?? null),
      usage: usageOf(usage),
      providerMetadata: metadataOf(usage),
      response: { id, timestamp: new Date(created * 1000), modelId: model },
      warnings,
    };
  }

  /** Streams a reply. Errors before its first part reject, later ones are parts; an abort is an error of the stream. */
  async doStream(options: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult> {
    const { params, warnings } = requestOf(options);
    const engine = await orAbort(Promise.resolve(this.#engine), options.abortSignal);
    const chunks = await engine.chat.completions.create({ ...params, stream: true });
    return { stream: readable(partsOf(chunks, warnings, options), chunks) };
  }
}

const TEXT_ID = 'text-0';

async function* partsOf(
  chunks: AsyncIterable<ChatCompletionChunk>,
  warnings: SharedV4Warning[],
  { includeRawChunks, abortSignal }: LanguageModelV4CallOptions,
): AsyncGenerator<LanguageModelV4StreamPart, void, undefined> {
  yield { type: 'stream-start', warnings };
  let finishReason = finishReasonOf(null);
  let usage: Usage | undefined;
  let hasText = false;
  try {
    for await (const chunk of chunks) {
      if (includeRawChunks === true) yield { type: 'raw', rawValue: chunk };
      const { id, created, model, choices } = chunk;
      if (!hasText) {
        hasText = true;
        const timestamp = new Date(created * 1000);
        yield { type: 'response-metadata', id, timestamp, modelId: model };
        yield { type: 'text-start', id: TEXT_ID };
      }
      const delta = choices[0]?.delta.content ?? '';
      if (delta !== '') yield { type: 'text-delta', id: TEXT_ID, delta };
      const reason = choices[0]?.finish_reason ?? null;
      if (reason !== null) finishReason = finishReasonOf(reason);
      usage = chunk.usage ?? usage;
    }
  } catch (error) {
    if (abortSignal?.aborted === true) throw error;
    finishReason = { unified: 'error', raw: undefined };
    yield { type: 'error', error };
  }
  if (hasText) yield { type: 'text-end', id: TEXT_ID };
  yield {
    type: 'finish',
    finishReason,
    usage: usageOf(usage),
    providerMetadata: metadataOf(usage),
  };
}

/**
 * A stream that makes its parts when they are asked for.
 *
 * @param source - what the parts are made of; left when the stream is cancelled
 */
export function readable<T>(
  parts: AsyncIterator<T, void>,
  source: AsyncIterator<unknown>,
): ReadableStream<T> {
  // ReadableStream.from is not in every browser with WebGPU.
  return new ReadableStream<T>(
    {
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        // Not `parts`: a generator that has not begun ends without leaving its source.
        await source.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
