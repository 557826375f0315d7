import type { Encoding } from '../engine/encoder_api.ts';
import {
  DeviceLostError,
  DisposedError,
  GpuValidationError,
  OutOfMemoryError,
  WorkerError,
} from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { whenGone } from './lifetime.ts';
import type { Lease, ModelPool } from './pool.ts';
import { modelKey, receiveLocation } from './post.ts';
import {
  PROTOCOL_VERSION,
  type Kind,
  type ModelMethods,
  type ModelProgress,
  type Models,
  type Note,
} from './protocol.ts';
import { answer, type Handlers } from './rpc.ts';

/** The worker that pages are served in. */
export interface Host {
  /** Whether pages that load the same model get the same one. */
  readonly isShared: boolean;
  readonly pool: ModelPool;
  /** From `holdLock`, for as long as the worker lives. */
  readonly lock: Promise<string | undefined>;
}

/** What was loaded over a connection; at most one, but under the type of its kind. */
type Leases = { readonly [K in Kind]?: Lease<Models[K]> };

/**
 * Serves one model to one page, until the page disposes it or is gone.
 *
 * @param port - to the page; nobody else listens to it
 */
export function serve(port: MessagePort, { isShared, pool, lock }: Host): void {
  let leases: Leases = {};
  const gone = new AbortController();
  const lease = (): Lease<Models[Kind]> | undefined =>
    leases.engine ?? leases.encoder ?? leases.seq2seq;
  const model = async (): Promise<Models[Kind]> => {
    const { model } = lease() ?? refuse();
    return model;
  };
  const leave = async (): Promise<void> => {
    gone.abort();
    const left = lease();
    leases = {};
    abortCalls(new DisposedError());
    await left?.release();
  };
  const note = (news: Note): void => port.postMessage(news);

  const abortCalls = answer<ModelMethods, ModelProgress>(
    port,
    {
      async open(_, version, pageLock) {
        if (version !== PROTOCOL_VERSION) {
          throw new WorkerError(
            `worker: it is of version ${PROTOCOL_VERSION} of Quern's protocol, expected ${version}; make the worker of the same version of Quern as the page`,
          );
        }
        whenGone(pageLock, gone.signal, () => void leave().finally(() => port.close()));
        return { lock: await lock };
      },
      async load({ report }, kind, from, options) {
        // What a page sent before it went may come after the news that it is gone.
        if (gone.signal.aborted) refuse();
        const key = isShared ? modelKey(from, options) : undefined;
        const loading = pool.lease(kind, key, receiveLocation(from), options, {
          progress: (progress) => report?.(progress),
          recovery: (event) => note({ type: 'recovery', event }),
        });
        leases = { [kind]: loading };
        await loading.model;
      },
      ...requests(async (kind) => (await leases[kind]?.model) ?? refuse()),
      async tokenize(_, text, options) {
        return (await model()).tokenize(text, options);
      },
      async detokenize(_, ids, options) {
        return (await model()).detokenize(ids, options);
      },
      async stats() {
        return (await model()).stats();
      },
      dispose: leave,
    },
    (error) => {
      if (hasFailedForGood(error)) lease()?.evict();
    },
  );
  port.start();
}

/** What each kind alone can do. */
function requests(
  loaded: <K extends Kind>(kind: K) => Promise<Models[K]>,
): Pick<Handlers<ModelMethods, ModelProgress>, 'chat' | 'complete' | 'encode' | 'generate'> {
  return {
    async chat({ signal }, params) {
      const engine = await loaded('engine');
      return engine.chat.completions.create(completed(params, { signal }));
    },
    async complete({ signal }, params) {
      const engine = await loaded('engine');
      return engine.completions.create(completed(params, { signal }));
    },
    async encode({ signal, report, transfer }, inputs, options) {
      const encoder = await loaded('encoder');
      const inWorker = { signal, ...(report && { onProgress: report }) };
      const encodings = await encoder.encode(inputs, completed(options, inWorker));
      for (const buffer of buffersOf(encodings)) transfer.push(buffer);
      return encodings;
    },
    async generate({ signal }, inputs, params) {
      const model = await loaded('seq2seq');
      return model.generate(inputs, completed(params, { signal }));
    },
  };
}

/** Parameters of no use, a signal that is none among them, reach the model as they came: it says what is wrong. */
function completed<P extends object, O extends object>(params: P, own: O): P | (O & P) {
  return isRecord(params) ? { ...own, ...params } : params;
}

/** The memory of results, which share none with what else there is. */
function buffersOf(result: Encoding | readonly Encoding[]): ReadonlySet<ArrayBufferLike> {
  const buffers = new Set<ArrayBufferLike>();
  for (const { vector, outputs } of 'ids' in result ? [result] : result) {
    if (vector !== undefined) buffers.add(vector.buffer);
    for (const { data } of Object.values(outputs)) buffers.add(data.buffer);
  }
  return buffers;
}

function refuse(): never {
  throw new DisposedError();
}

/** Whether the model that threw this will throw it for ever. */
function hasFailedForGood(error: unknown): boolean {
  return (
    error instanceof DeviceLostError ||
    error instanceof OutOfMemoryError ||
    error instanceof GpuValidationError
  );
}
