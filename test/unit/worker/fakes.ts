import type { Engine, EngineStats, LocalLoadOptions } from '../../../src/engine/api.ts';
import { Stream } from '../../../src/engine/stream.ts';
import { DisposedError, RequestError } from '../../../src/util/errors.ts';
import type { ModelLocation } from '../../../src/weights/sources/resolve.ts';
import { holdLock } from '../../../src/worker/lifetime.ts';
import { EnginePool } from '../../../src/worker/pool.ts';
import { serve, type Host } from '../../../src/worker/server.ts';

/** An engine without a model: the test speaks for it. */
export class FakeEngine {
  readonly streams: Stream<unknown>[] = [];
  /** What it was asked, in order. */
  readonly asked: unknown[] = [];
  readonly signals: AbortSignal[] = [];
  disposals = 0;

  create = async (params: { signal?: AbortSignal; stream?: boolean }): Promise<unknown> => {
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

  asEngine(): Engine {
    const requests = { create: this.create };
    return {
      chat: { completions: requests },
      completions: requests,
      tokenize: async (text: string) => Array.from(text, (one) => one.codePointAt(0)),
      detokenize: async (ids: readonly number[]) => String.fromCodePoint(...ids),
      stats: async () => ({ recoveries: 3 }) as EngineStats,
      dispose: async () => void this.disposals++,
    } as unknown as Engine;
  }
}

/** A load that the test lets succeed or fail. */
export interface FakeLoad {
  readonly from: ModelLocation;
  readonly options: LocalLoadOptions;
  readonly engine: FakeEngine;
  finish(): void;
  fail(error: unknown): void;
}

/** A pool whose engines are fakes, and what it was asked to load. */
export function fakePool(): { readonly pool: EnginePool; readonly loads: FakeLoad[] } {
  const loads: FakeLoad[] = [];
  const pool = new EnginePool((from, options) => {
    const engine = new FakeEngine();
    options.onProgress?.({ phase: 'files', loadedBytes: 0, totalBytes: 0 });
    return new Promise((resolve, reject) => {
      options.signal?.addEventListener('abort', () => reject(new DisposedError('load stopped')));
      loads.push({
        from,
        options,
        engine,
        finish() {
          options.onProgress?.({ phase: 'ready', loadedBytes: 0, totalBytes: 0 });
          resolve(engine.asEngine());
        },
        fail: reject,
      });
    });
  });
  return { pool, loads };
}

/** A worker in this thread. */
export class FakeWorker extends EventTarget {
  readonly #host: Host;

  constructor(pool: EnginePool, isShared = false) {
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
