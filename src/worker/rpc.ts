/**
 * Calls over a message port: promises, progress, streams, errors and aborts on one side are those of the other.
 *
 * ```
 * caller                       answerer
 *   call {id, method, args} ->
 *                           <- progress {id, value}…, if the caller listens
 *                           <- result {id, value} | error {id, error}
 *                           <- stream {id}, chunk {id, value}…, end {id} | error {id, error}
 *   cancel {id}             ->   aborts the signal of the call; nothing is answered any more
 * ```
 *
 * @module
 */
import { Stream } from '../engine/stream.ts';
import { decodeError, encodeError, type EncodedError } from './errors.ts';

/** Methods by name; their results may be promises, and async iterables in them travel chunk by chunk. */
type Methods<M> = { readonly [K in keyof M]: (...args: never[]) => unknown };
type Args<M extends Methods<M>, K extends keyof M> = Parameters<M[K]>;
type Result<M extends Methods<M>, K extends keyof M> = Awaited<ReturnType<M[K]>>;
/** What a method of a name reports, where it is one of those that do. */
export type Progress<P, K> = K extends keyof P ? P[K] : never;

/** A call, as the method called sees it. */
export interface Serving<Report> {
  /** Aborted when the caller cancels. */
  readonly signal: AbortSignal;
  /** Tells the caller how far the work has come; absent if it does not listen. */
  readonly report?: (progress: Report) => void;
  /** What in the result is moved instead of copied: to be added to. */
  readonly transfer: Transferable[];
}

/** How a method is called. */
export interface CallOptions<Report> {
  /** Abandons the call at once, there too; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Hears what the method reports; an error of it abandons the call. */
  readonly onProgress?: ((progress: Report) => void) | undefined;
  /** What in the arguments is moved instead of copied. */
  readonly transfer?: Transferable[];
}

/** The methods as their side implements them; `P` has what they report, by name. */
export type Handlers<M extends Methods<M>, P = unknown> = {
  readonly [K in keyof M]: (
    call: Serving<Progress<P, K>>,
    ...args: Args<M, K>
  ) => Result<M, K> | Promise<Result<M, K>>;
};

interface Call<M extends Methods<M>, K extends keyof M> {
  readonly type: 'call';
  readonly id: number;
  readonly method: K;
  readonly args: Args<M, K>;
  readonly isFollowed: boolean;
}

type Request<M extends Methods<M>> =
  | Call<M, keyof M>
  | { readonly type: 'cancel'; readonly id: number };

type Reply =
  | { readonly type: 'progress'; readonly id: number; readonly value: unknown }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: EncodedError }
  | { readonly type: 'stream'; readonly id: number }
  | { readonly type: 'chunk'; readonly id: number; readonly value: unknown }
  | { readonly type: 'end'; readonly id: number };

interface OpenCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress: ((progress: unknown) => void) | undefined;
  /** Aborted with the end of the call, to drop its listener on the caller's signal. */
  readonly over: AbortController;
  stream?: Stream<unknown>;
}

/** The side that calls. */
export class Caller<M extends Methods<M>, P = unknown> {
  readonly #port: MessagePort;
  readonly #open = new Map<number, OpenCall>();
  #nextId = 0;

  /** @param port - the owner starts and closes it; other messages may pass over it */
  constructor(port: MessagePort) {
    this.#port = port;
    port.addEventListener('message', ({ data }: MessageEvent<Reply>) => this.#take(data));
  }

  /**
   * Calls a method of the other side; async iterables that it returns arrive as a {@link Stream}.
   *
   * @throws what the method throws; `DataCloneError` if an argument cannot be posted
   */
  call<K extends keyof M>(
    method: K,
    args: Args<M, K>,
    { signal, onProgress, transfer }: CallOptions<Progress<P, K>> = {},
  ): Promise<Result<M, K>> {
    return new Promise((resolve, reject) => {
      // Not throwIfAborted: the signal may be a look-alike from another window.
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const id = this.#nextId++;
      const isFollowed = onProgress !== undefined;
      this.#post({ type: 'call', id, method, args, isFollowed }, transfer);
      const over = new AbortController();
      this.#open.set(id, {
        // What comes back is what the other side's method of this type returned and reported.
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        resolve: resolve as (value: unknown) => void,
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        onProgress: onProgress as OpenCall['onProgress'],
        reject,
        over,
      });
      const onAbort = (): void => this.#cancel(id, signal?.reason);
      signal?.addEventListener('abort', onAbort, { signal: over.signal });
    });
  }

  /** Ends everything open with an error, on this side only. */
  failAll(error: unknown): void {
    for (const id of this.#open.keys()) this.#fail(id, error);
  }

  #post(request: Request<M>, transfer: Transferable[] = []): void {
    this.#port.postMessage(request, transfer);
  }

  #take(reply: Reply): void {
    const call = this.#open.get(reply.id);
    if (call === undefined) return; // cancelled meanwhile
    switch (reply.type) {
      case 'progress':
        try {
          call.onProgress?.(reply.value);
        } catch (error) {
          this.#cancel(reply.id, error);
        }
        break;
      case 'result':
        call.resolve(reply.value);
        this.#close(reply.id);
        break;
      case 'error':
        this.#fail(reply.id, decodeError(reply.error));
        break;
      case 'stream':
        call.stream = new Stream(() => this.#cancel(reply.id, undefined));
        call.resolve(call.stream);
        break;
      case 'chunk':
        call.stream?.push(reply.value);
        break;
      case 'end':
        call.stream?.end();
        this.#close(reply.id);
        break;
    }
  }

  #cancel(id: number, reason: unknown): void {
    this.#post({ type: 'cancel', id });
    this.#fail(id, reason);
  }

  #fail(id: number, error: unknown): void {
    const call = this.#close(id);
    call?.reject(error); // of no effect once the stream was handed out
    call?.stream?.fail(error);
  }

  #close(id: number): OpenCall | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    call?.over.abort();
    return call;
  }
}

/**
 * Answers the calls that come over a port.
 *
 * @param port - the owner starts and closes it; other messages may pass over it
 * @param onError - hears of each error that is sent
 * @returns aborts every open call with a reason
 */
export function answer<M extends Methods<M>, P = unknown>(
  port: MessagePort,
  handlers: Handlers<M, P>,
  onError?: (error: unknown) => void,
): (reason: unknown) => void {
  const open = new Map<number, AbortController>();
  const post = (reply: Reply, transfer: Transferable[] = []): void =>
    port.postMessage(reply, transfer);

  async function run<K extends keyof M>(call: Call<M, K>): Promise<void> {
    const { id, method, args, isFollowed } = call;
    const controller = new AbortController();
    open.set(id, controller);
    const serving: Serving<unknown> = {
      signal: controller.signal,
      transfer: [],
      ...(isFollowed && { report: (value) => post({ type: 'progress', id, value }) }),
    };
    try {
      const value: unknown = await handlers[method](serving, ...args);
      if (isAsyncIterable(value)) {
        post({ type: 'stream', id });
        for await (const chunk of value) post({ type: 'chunk', id, value: chunk });
        post({ type: 'end', id });
      } else {
        post({ type: 'result', id, value }, serving.transfer);
      }
    } catch (error) {
      post({ type: 'error', id, error: encodeError(error) });
      onError?.(error);
    } finally {
      open.delete(id);
    }
  }

  port.addEventListener('message', ({ data }: MessageEvent<Request<M>>) => {
    if (data.type === 'call') void run(data);
    else if (data.type === 'cancel') {
      open.get(data.id)?.abort(new DOMException('The caller cancelled the call', 'AbortError'));
    }
  });
  return (reason) => {
    for (const controller of open.values()) controller.abort(reason);
  };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
