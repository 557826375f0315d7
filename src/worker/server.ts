import type { Engine } from '../engine/api.ts';
import {
  DeviceLostError,
  DisposedError,
  GpuValidationError,
  OutOfMemoryError,
  WorkerError,
} from '../util/errors.ts';
import { isRecord } from '../util/objects.ts';
import { whenGone } from './lifetime.ts';
import type { EnginePool, Lease } from './pool.ts';
import { engineKey, receiveLocation } from './post.ts';
import { PROTOCOL_VERSION, type EngineMethods, type Note } from './protocol.ts';
import { answer } from './rpc.ts';

/** The worker that pages are served in. */
export interface Host {
  /** Whether pages that load the same model get the same engine. */
  readonly isShared: boolean;
  readonly pool: EnginePool;
  /** From `holdLock`, for as long as the worker lives. */
  readonly lock: Promise<string | undefined>;
}

/**
 * Serves one engine to one page, until the page disposes it or is gone.
 *
 * @param port - to the page; nobody else listens to it
 */
export function serve(port: MessagePort, { isShared, pool, lock }: Host): void {
  let lease: Lease | undefined;
  const gone = new AbortController();
  const engine = async (): Promise<Engine> => {
    if (lease === undefined) throw disposed();
    return lease.engine;
  };
  const leave = async (): Promise<void> => {
    gone.abort();
    const left = lease;
    lease = undefined;
    abortCalls(disposed());
    await left?.release();
  };
  const note = (news: Note): void => port.postMessage(news);

  const abortCalls = answer<EngineMethods>(
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
      async load(_, from, options) {
        // What a page sent before it went may come after the news that it is gone.
        if (gone.signal.aborted) throw disposed();
        const key = isShared ? engineKey(from, options) : undefined;
        lease = pool.lease(key, receiveLocation(from), options, {
          progress: (progress) => note({ type: 'progress', progress }),
          recovery: (event) => note({ type: 'recovery', event }),
        });
        await lease.engine;
      },
      async chat(signal, params) {
        return (await engine()).chat.completions.create(withSignal(params, signal));
      },
      async complete(signal, params) {
        return (await engine()).completions.create(withSignal(params, signal));
      },
      async tokenize(_, text, options) {
        return (await engine()).tokenize(text, options);
      },
      async detokenize(_, ids, options) {
        return (await engine()).detokenize(ids, options);
      },
      async stats() {
        return (await engine()).stats();
      },
      dispose: leave,
    },
    (error) => {
      if (hasFailedEngine(error)) lease?.evict();
    },
  );
  port.start();
}

/** Parameters of no use, a signal that is none among them, reach the engine as they came: it says what is wrong. */
function withSignal<P extends object>(params: P, signal: AbortSignal): P {
  return isRecord(params) ? { signal, ...params } : params;
}

function disposed(): DisposedError {
  return new DisposedError('engine: disposed; load the model again');
}

/** Whether the engine that threw this will throw it for ever. */
function hasFailedEngine(error: unknown): boolean {
  return (
    error instanceof DeviceLostError ||
    error instanceof OutOfMemoryError ||
    error instanceof GpuValidationError
  );
}
