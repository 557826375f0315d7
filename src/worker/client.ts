import type { Engine, EngineStats, LoadOptions } from '../engine/api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
} from '../engine/openai.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { NoWebGpuError, RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { Link, type WorkerChoice } from './link.ts';
import { plainCopy, postLocation, postOptions } from './post.ts';

/** An engine in a worker. */
export class RemoteEngine implements Engine {
  readonly chat: Engine['chat'];
  readonly completions: Engine['completions'];
  readonly #link: Link;

  private constructor(link: Link) {
    this.#link = link;
    this.chat = {
      completions: new RemoteRequests<ChatCompletionParams, ChatCompletion, ChatCompletionChunk>(
        (params, signal) => link.call('chat', [params], signal),
      ),
    };
    this.completions = new RemoteRequests<CompletionParams, Completion, CompletionChunk>(
      (params, signal) => link.call('complete', [params], signal),
    );
  }

  /** Loads a model in a worker; see `Engine.load` in load.ts. */
  static async load(from: ModelLocation, options: LoadOptions): Promise<RemoteEngine> {
    const choice = readChoice(options.worker);
    try {
      return new RemoteEngine(await loadIn(choice, from, options));
    } catch (error) {
      // Some browsers have WebGPU in workers, but not in shared ones.
      if (choice !== 'shared' || !(error instanceof NoWebGpuError)) throw error;
      return new RemoteEngine(await loadIn(true, from, options));
    }
  }

  tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.#link.call('tokenize', [text, options]);
  }

  detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.#link.call('detokenize', [ids, options]);
  }

  stats(): Promise<EngineStats> {
    return this.#link.call('stats', []);
  }

  dispose(): Promise<void> {
    return this.#link.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Requests of one kind, with their signal taken out: it acts on this side of the port. */
class RemoteRequests<Params extends { readonly signal?: AbortSignal }, Reply, Chunk> {
  readonly #send: (
    params: Omit<Params, 'signal'>,
    signal: AbortSignal | undefined,
  ) => Promise<Reply | AsyncIterableIterator<Chunk>>;

  constructor(
    send: (
      params: Omit<Params, 'signal'>,
      signal: AbortSignal | undefined,
    ) => Promise<Reply | AsyncIterableIterator<Chunk>>,
  ) {
    this.#send = send;
  }

  create(params: Params & { readonly stream: true }): Promise<AsyncIterableIterator<Chunk>>;
  create(params: Params & { readonly stream?: false | null }): Promise<Reply>;
  create(params: Params): Promise<Reply | AsyncIterableIterator<Chunk>>;
  async create(params: Params): Promise<Reply | AsyncIterableIterator<Chunk>> {
    // What is wrong with parameters is for the engine to say.
    if (!isRecord(params)) return this.#send(params, undefined);
    const { signal, ...rest } = params;
    const isSignal = isRecord(signal) && typeof signal['addEventListener'] === 'function';
    return isSignal || signal === undefined
      ? this.#send(plainCopy(rest, 'request'), signal)
      : this.#send(plainCopy(params, 'request'), undefined);
  }
}

/** Has a worker load a model; the link is the caller's to dispose. */
async function loadIn(
  choice: WorkerChoice,
  from: ModelLocation,
  options: LoadOptions,
): Promise<Link> {
  const { signal } = options;
  signal?.throwIfAborted();
  const posted = postOptions(options);
  const { location, transfer, close } = postLocation(from);
  let link: Link | undefined;
  try {
    link = await Link.open(choice, options, signal, close);
    await link.call('load', [location, posted], signal, transfer);
    return link;
  } catch (error) {
    void link?.dispose();
    throw error;
  }
}

function readChoice(worker: LoadOptions['worker'] | undefined): WorkerChoice {
  if (worker === 'shared') return 'SharedWorker' in globalThis ? 'shared' : true;
  // Not instanceof: the worker may come from another window.
  const isWorker = typeof worker === 'object' && typeof worker?.postMessage === 'function';
  if (worker === true || isWorker) return worker;
  throw new RequestError(
    `load: worker is ${describeValue(worker)}, expected true, false, 'shared' or a Worker`,
    { param: 'worker' },
  );
}
