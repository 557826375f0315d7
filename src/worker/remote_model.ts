import type { LoadOptions } from '../engine/api.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import { NoWebGpuError, RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { Link, type WorkerChoice } from './link.ts';
import { plainCopy, postLocation, postOptions } from './post.ts';
import type { Kind, Models, RemoteOptions } from './protocol.ts';

type Stats<K extends Kind> = Awaited<ReturnType<Models[K]['stats']>>;

/** What models in a worker have in common, whatever they do. */
export class RemoteModel<K extends Kind> {
  protected readonly link: Link;

  constructor(link: Link) {
    this.link = link;
  }

  tokenize(text: string, options?: EncodeOptions): Promise<number[]> {
    return this.link.call('tokenize', [text, options]);
  }

  detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string> {
    return this.link.call('detokenize', [ids, options]);
  }

  stats(): Promise<Stats<K>> {
    // Those of the kind that was loaded.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return this.link.call('stats', []) as Promise<Stats<K>>;
  }

  dispose(): Promise<void> {
    return this.link.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Has a worker load a model; see `Engine.load` in load.ts. The link is the caller's to dispose. */
export async function loadRemotely<K extends Kind>(
  kind: K,
  from: ModelLocation,
  options: RemoteOptions<K>,
): Promise<Link> {
  const choice = readChoice(options.worker);
  try {
    return await loadIn(choice, kind, from, options);
  } catch (error) {
    // Some browsers have WebGPU in workers, but not in shared ones.
    if (choice !== 'shared' || !(error instanceof NoWebGpuError)) throw error;
    return loadIn(true, kind, from, options);
  }
}

async function loadIn<K extends Kind>(
  choice: WorkerChoice,
  kind: K,
  from: ModelLocation,
  options: RemoteOptions<K>,
): Promise<Link> {
  const { signal, onProgress, onRecovery } = options;
  signal?.throwIfAborted();
  const posted = postOptions<K>(options);
  const { location, transfer, close } = postLocation(from);
  let link: Link | undefined;
  try {
    link = await Link.open(choice, { onRecovery, onOver: close }, signal);
    await link.call('load', [kind, location, posted], { signal, onProgress, transfer });
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

/**
 * Parameters of a request that can be posted, and their signal, which acts on this side of the port. What is wrong with
 * parameters, a signal that is none included, is for the model to say.
 *
 * @param where - for messages: what the parameters are called
 * @throws {RequestError} if there is a function among them
 */
export function takeSignal<P extends { readonly signal?: AbortSignal }>(
  params: P,
  where: string,
): readonly [posted: Omit<P, 'signal'>, signal: AbortSignal | undefined] {
  if (!isRecord(params)) return [params, undefined];
  const { signal, ...rest } = params;
  const isSignal = isRecord(signal) && typeof signal['throwIfAborted'] === 'function';
  return isSignal || signal === undefined
    ? [plainCopy(rest, where), signal]
    : [plainCopy(params, where), undefined];
}

/**
 * Inputs in a form that can be posted.
 *
 * @throws {RequestError} if there is a function among them
 */
export function postInputs<T>(inputs: T): T {
  return plainCopy({ inputs }, 'request').inputs;
}
