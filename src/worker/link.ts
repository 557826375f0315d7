import type { RecoveryEvent } from '../engine/api.ts';
import { DisposedError, RequestError, WorkerError } from '../util/errors.ts';
import { holdLock, whenGone } from './lifetime.ts';
import {
  CONNECT,
  PROTOCOL_VERSION,
  type ModelMethods,
  type ModelProgress,
  type Note,
} from './protocol.ts';
import { Caller, type CallOptions, type Progress } from './rpc.ts';
import { spawnSharedWorker, spawnWorker } from './spawn.ts';

/** Which worker: one of the model's own, the one that tabs share, or the caller's. */
export type WorkerChoice = true | 'shared' | Worker;

/** How long a worker may take to fetch its script and start, milliseconds. */
const START_TIMEOUT_MS = 60_000;

/** How long a worker may take to free the GPU before it is given up, milliseconds. */
const FAREWELL_TIMEOUT_MS = 5_000;

/** A way to a worker. */
interface Line {
  readonly port: MessagePort;
  /** What hears that the worker failed. */
  readonly worker: Worker | SharedWorker;
  close(): void;
}

/** What a connection is for. */
export interface LinkOptions {
  readonly onRecovery: ((event: RecoveryEvent) => void) | undefined;
  /** Called when nothing is read from the page any more. */
  readonly onOver: () => void;
}

/** A page's connection to its model in a worker. */
export class Link {
  readonly #line: Line;
  readonly #calls: Caller<ModelMethods, ModelProgress>;
  readonly #over: AbortController;
  /** Set once there is nobody to call. */
  #refusal: DisposedError | WorkerError | undefined;
  #disposal: Promise<void> | undefined;

  private constructor(line: Line, over: AbortController, { onRecovery }: LinkOptions) {
    this.#line = line;
    this.#over = over;
    this.#calls = new Caller(line.port);
    const { signal } = over;
    line.port.addEventListener('message', ({ data }: MessageEvent<Note>) => {
      if (data.type === 'recovery') onRecovery?.(data.event);
    });
    const onDamage = (): void =>
      this.#die(new WorkerError('worker: a message could not be read; load the model again'));
    line.port.addEventListener('messageerror', onDamage, { signal });
    const onError = (event: Event): void => {
      event.preventDefault(); // told by a rejection, not by the console too
      this.#die(startOrRunError(event));
    };
    line.worker.addEventListener('error', onError, { signal });
    line.port.start();
  }

  /**
   * Starts a worker, or finds it running.
   *
   * @throws {WorkerError} if the worker does not start or does not answer
   * @throws `signal.reason` when aborted
   */
  static async open(
    choice: WorkerChoice,
    options: LinkOptions,
    signal: AbortSignal | undefined,
  ): Promise<Link> {
    const over = new AbortController();
    over.signal.addEventListener('abort', options.onOver);
    const lock = await holdLock(over.signal);
    let line: Line;
    try {
      line = connect(choice);
    } catch (cause) {
      over.abort();
      const found = cause instanceof Error ? cause.message : String(cause);
      throw new WorkerError(`worker: it could not be started (${found}); ${START_ADVICE}`, {
        cause,
      });
    }
    const link = new Link(line, over, options);
    try {
      const opened = link.call('open', [PROTOCOL_VERSION, lock], { signal });
      const welcome = await within(START_TIMEOUT_MS, opened);
      if (welcome === 'late') {
        throw new WorkerError(
          `worker: no answer within ${START_TIMEOUT_MS / 1000} s; ${START_ADVICE}`,
        );
      }
      whenGone(welcome.lock, over.signal, () =>
        link.#die(new WorkerError('worker: it has ended; load the model again')),
      );
      return link;
    } catch (error) {
      void link.dispose();
      throw error;
    }
  }

  /**
   * Calls a method of the worker; see {@link Caller.call}.
   *
   * @throws {RequestError} if an argument cannot be posted
   * @throws {DisposedError} {@link WorkerError} if there is nobody to call any more
   */
  async call<K extends keyof ModelMethods>(
    method: K,
    args: Parameters<ModelMethods[K]>,
    options?: CallOptions<Progress<ModelProgress, K>>,
  ): Promise<Awaited<ReturnType<ModelMethods[K]>>> {
    if (this.#refusal !== undefined) throw this.#refusal;
    try {
      return await this.#calls.call(method, args, options);
    } catch (cause) {
      if (!(cause instanceof DOMException) || cause.name !== 'DataCloneError') throw cause;
      throw new RequestError(
        `${method}: an argument cannot be sent to a worker (${cause.message}), expected plain data`,
        { cause },
      );
    }
  }

  /** Gives up the model; its worker ends if it is the model's own. May be called twice. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#leave();
    return this.#disposal;
  }

  async #leave(): Promise<void> {
    const isDead = this.#refusal !== undefined;
    this.#refusal = new DisposedError();
    if (isDead) return;
    this.#calls.failAll(this.#refusal);
    const farewell = this.#calls.call('dispose', []).catch(() => undefined);
    await within(FAREWELL_TIMEOUT_MS, farewell);
    this.#close();
  }

  #die(error: WorkerError): void {
    this.#refusal ??= error;
    this.#calls.failAll(error);
    this.#close();
  }

  #close(): void {
    this.#over.abort();
    this.#line.close();
  }
}

const START_ADVICE =
  "see that the file of quern/worker is served from the page's own origin, that its Content-Security-Policy (worker-src) allows it, or load with worker: false";

function connect(choice: WorkerChoice): Line {
  if (choice === 'shared') {
    const worker = spawnSharedWorker();
    return { port: worker.port, worker, close: () => worker.port.close() };
  }
  const worker = choice === true ? spawnWorker() : choice;
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(CONNECT, [port2]);
  return {
    port: port1,
    worker,
    close() {
      port1.close();
      if (choice === true) worker.terminate();
    },
  };
}

/** An event without a message says that the script could not be had; with one, that an error was thrown in it. */
function startOrRunError(event: Event): WorkerError {
  const found = 'message' in event ? String(event.message) : '';
  return found === ''
    ? new WorkerError(`worker: its script could not be loaded; ${START_ADVICE}`)
    : new WorkerError(`worker: an error in it: ${found}; load the model again`);
}

/** What `work` results in, or `late` if that takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | 'late'> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
