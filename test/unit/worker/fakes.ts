import type { Encoding } from '../../../src/engine/encoder_api.ts';
import { Stream } from '../../../src/engine/stream.ts';
import { DisposedError, RequestError } from '../../../src/util/errors.ts';
import type { ModelLocation } from '../../../src/weights/sources/resolve.ts';
import { holdLock } from '../../../src/worker/lifetime.ts';
import { ModelPool } from '../../../src/worker/pool.ts';
import type { Kind, LoadOptionsByKind, Models } from '../../../src/worker/protocol.ts';
import { serve, type Host } from '../../../src/worker/server.ts';

/** A model of every kind without weights: the test speaks for it. */
export class FakeModel {
  readonly streams: Stream<unknown>[] = [];
  /** What it was asked, in order. */
  readonly asked: unknown[] = [];
  readonly signals: AbortSignal[] = [];
  disposals = 0;

  create = async (params: {
    signal?: AbortSignal;
    stream?: boolean;
    inputs?: unknown;
  }): Promise<unknown> => {
    const { signal, ...rest } = params;
    if (!(signal instanceof AbortSignal)) throw new RequestError('request: signal is none');
    this.asked.push(rest);
    this.signals.push(signal);
    if ('temperature' in rest) {
      throw new RequestError('request: temperature is bad', { param: 'temperature' });
    }
    const stream = new Stream<unknown>(() => undefined);
    this.streams.push(stream);
    signal.addEventListener('abort', () => stream.fail(signal.reason));
    return params.stream === true ? stream : stream.next().then(({ value }) => value);
  };

  /** What `encode` gave, and what it told. */
  readonly encodings: Encoding[] = [];
  progress: ((progress: object) => void) | undefined;

  encode = async (
    inputs: unknown,
    { onProgress, ...options }: { signal: AbortSignal; onProgress?: (progress: object) => void },
  ): Promise<unknown> => {
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw new RequestError('request: onProgress is bad', { param: 'onProgress' });
    }
    this.progress = onProgress;
    onProgress?.({ done: 0, total: 1 });
    await this.create({ inputs, ...options });
    const vector = Float32Array.of(1, 2);
    const data = Float32Array.of(3);
    const outputs = { vector: { data: vector, rows: 1, size: 2 }, b: { data, rows: 1, size: 1 } };
    const encoding = { ids: [5], vector, outputs };
    this.encodings.push(encoding);
    return Array.isArray(inputs) ? [encoding] : encoding;
  };

  asModel(): Models['engine'] & Models['encoder'] & Models['seq2seq'] {
    const requests = { create: this.create };
    return {
      chat: { completions: requests },
      completions: requests,
      encode: this.encode,
      generate: (inputs: unknown, params: Parameters<typeof this.create>[0]) =>
        this.create({ inputs, ...params }),
      tokenize: async (text: string) => Array.from(text, (one) => one.codePointAt(0)),
      detokenize: async (ids: readonly number[]) => String.fromCodePoint(...ids),
      stats: async () => ({ recoveries: 3 }),
      dispose: async () => void this.disposals++,
    } as unknown as ReturnType<FakeModel['asModel']>;
  }
}

/** A load that the test lets succeed or fail. */
export interface FakeLoad {
  readonly kind: Kind;
  readonly from: ModelLocation;
  readonly options: LoadOptionsByKind[Kind];
  readonly model: FakeModel;
  finish(): void;
  fail(error: unknown): void;
}

/** A pool whose models are fakes, and what it was asked to load. */
export function fakePool(): { readonly pool: ModelPool; readonly loads: FakeLoad[] } {
  const loads: FakeLoad[] = [];
  const loader =
    <K extends Kind>(kind: K) =>
    (from: ModelLocation, options: LoadOptionsByKind[K]): Promise<Models[K]> => {
      const model = new FakeModel();
      options.onProgress?.({ phase: 'files', loadedBytes: 0, totalBytes: 0 });
      return new Promise((resolve, reject) => {
        options.signal?.addEventListener('abort', () => reject(new DisposedError('load stopped')));
        loads.push({
          kind,
          from,
          options,
          model,
          finish() {
            options.onProgress?.({ phase: 'ready', loadedBytes: 0, totalBytes: 0 });
            resolve(model.asModel());
          },
          fail: reject,
        });
      });
    };
  const pool = new ModelPool({
    engine: loader('engine'),
    encoder: loader('encoder'),
    seq2seq: loader('seq2seq'),
  });
  return { pool, loads };
}

/** A worker in this thread. */
export class FakeWorker extends EventTarget {
  readonly #host: Host;

  constructor(pool: ModelPool, isShared = false) {
    super();
    this.#host = { pool, isShared, lock: holdLock() };
  }

  postMessage(_: unknown, [port]: readonly MessagePort[]): void {
    if (port !== undefined) serve(port, this.#host);
  }

  asWorker(): Worker {
    return this as unknown as Worker;
  }
}

/** Web Locks of one origin: Node has none before version 24. */
export class FakeLocks {
  readonly #held = new Map<string, Promise<unknown>>();
  readonly #crash = new Map<string, () => void>();

  request = async (
    name: string,
    ...rest: [LockGrantedCallback<unknown>] | [LockOptions, LockGrantedCallback<unknown>]
  ): Promise<unknown> => {
    const callback = rest.length === 1 ? rest[0] : rest[1];
    const signal = rest.length === 1 ? undefined : rest[0].signal;
    for (let held = this.#held.get(name); held !== undefined; held = this.#held.get(name)) {
      await held;
      signal?.throwIfAborted();
    }
    const crashed = new Promise<void>((resolve) => this.#crash.set(name, resolve));
    const held = Promise.race([callback({ name, mode: 'exclusive' }), crashed]);
    this.#held.set(name, held);
    await held;
    this.#held.delete(name);
    return undefined;
  };

  /** Names held, in the order they were taken. */
  get names(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** Its holder is gone. */
  crash(name: string | undefined): void {
    this.#crash.get(name ?? '')?.();
  }
}

/** Waits until messages have arrived. */
export async function until(isTrue: () => boolean): Promise<void> {
  for (let turns = 0; !isTrue(); turns++) {
    if (turns > 500) throw new Error(`still not so: ${String(isTrue)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}
