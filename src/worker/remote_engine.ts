import type { Engine, LoadOptions } from '../engine/api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
} from '../engine/openai.ts';
import type { SpeculationOption } from '../engine/speculation_options.ts';
import { isRecord } from '../util/objects.ts';
import { absoluteLocation, type ModelLocation } from '../weights/sources/resolve.ts';
import type { Link } from './link.ts';
import { loadRemotely, RemoteModel, takeSignal } from './remote_model.ts';

/** An engine in a worker. */
export class RemoteEngine extends RemoteModel<'engine'> implements Engine {
  readonly chat: Engine['chat'];
  readonly completions: Engine['completions'];

  private constructor(link: Link) {
    super(link);
    this.chat = {
      completions: new RemoteRequests<ChatCompletionParams, ChatCompletion, ChatCompletionChunk>(
        (params, signal) => link.call('chat', [params], { signal }),
      ),
    };
    this.completions = new RemoteRequests<CompletionParams, Completion, CompletionChunk>(
      (params, signal) => link.call('complete', [params], { signal }),
    );
  }

  /** Loads a model in a worker; see `Engine.load` in load.ts. */
  static async load(from: ModelLocation, options: LoadOptions): Promise<RemoteEngine> {
    const { speculation } = options;
    const posted = speculation && { speculation: postSpeculation(speculation) };
    return new RemoteEngine(await loadRemotely('engine', from, { ...options, ...posted }));
  }
}

/** Makes the place of a draft model independent of the page. */
function postSpeculation(option: SpeculationOption): SpeculationOption {
  if (typeof option === 'string' || !isRecord(option)) return option;
  const { draft } = option;
  return typeof draft === 'string' ? { ...option, draft: absoluteLocation(draft) } : option;
}

type Send<Params, Reply, Chunk> = (
  params: Omit<Params, 'signal'>,
  signal: AbortSignal | undefined,
) => Promise<Reply | AsyncIterableIterator<Chunk>>;

/** Requests of one kind. */
class RemoteRequests<Params extends { readonly signal?: AbortSignal }, Reply, Chunk> {
  readonly #send: Send<Params, Reply, Chunk>;

  constructor(send: Send<Params, Reply, Chunk>) {
    this.#send = send;
  }

  create(params: Params & { readonly stream: true }): Promise<AsyncIterableIterator<Chunk>>;
  create(params: Params & { readonly stream?: false | null }): Promise<Reply>;
  create(params: Params): Promise<Reply | AsyncIterableIterator<Chunk>>;
  async create(params: Params): Promise<Reply | AsyncIterableIterator<Chunk>> {
    return this.#send(...takeSignal(params, 'request'));
  }
}
