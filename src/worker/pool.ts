import type { Engine, LoadProgress, LocalLoadOptions, RecoveryEvent } from '../engine/api.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';

/** One who uses an engine: hears how it fares. */
export interface EngineUser {
  progress(progress: LoadProgress): void;
  recovery(event: RecoveryEvent): void;
}

/** A user's share in an engine. */
export interface Lease {
  /** Rejects if loading fails, or everyone who waited for it has left. */
  readonly engine: Promise<Engine>;
  /** Gives the share up; the last one frees the engine, or stops its loading. Does nothing the second time. */
  release(): Promise<void>;
  /** The engine has failed: nobody else is given it. */
  evict(): void;
}

type LoadEngine = (from: ModelLocation, options: LocalLoadOptions) => Promise<Engine>;

/** The engines of a worker: those loaded by the same key are one, and live until the last user leaves. */
export class EnginePool {
  readonly #load: LoadEngine;
  readonly #shared = new Map<string, SharedEngine>();

  constructor(load: LoadEngine) {
    this.#load = load;
  }

  /** @param key - which engine it is; undefined for one that is not shared */
  lease(
    key: string | undefined,
    from: ModelLocation,
    options: LocalLoadOptions,
    user: EngineUser,
  ): Lease {
    let shared = key === undefined ? undefined : this.#shared.get(key);
    if (shared === undefined) {
      const created = new SharedEngine(this.#load, from, options, () => {
        if (key !== undefined && this.#shared.get(key) === created) this.#shared.delete(key);
      });
      if (key !== undefined) this.#shared.set(key, created);
      shared = created;
    }
    return shared.join(user);
  }
}

/** An engine, its users, and what those who come later have missed. */
class SharedEngine {
  readonly #engine: Promise<Engine>;
  readonly #users = new Set<EngineUser>();
  readonly #abort = new AbortController();
  readonly #evict: () => void;
  #lastProgress: LoadProgress | undefined;

  /** @param evict - called when nobody else may join */
  constructor(load: LoadEngine, from: ModelLocation, options: LocalLoadOptions, evict: () => void) {
    this.#evict = evict;
    this.#engine = load(from, {
      ...options,
      signal: this.#abort.signal,
      onProgress: (progress) => {
        this.#lastProgress = progress;
        for (const user of this.#users) user.progress(progress);
      },
      onRecovery: (event) => {
        if (event.phase === 'failed') evict();
        for (const user of this.#users) user.recovery(event);
      },
    });
    this.#engine.catch(evict);
  }

  join(user: EngineUser): Lease {
    this.#users.add(user);
    if (this.#lastProgress !== undefined) user.progress(this.#lastProgress);
    return { engine: this.#engine, evict: this.#evict, release: () => this.#release(user) };
  }

  async #release(user: EngineUser): Promise<void> {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    this.#evict();
    this.#abort.abort();
    const loaded = await this.#engine.catch(() => undefined);
    await loaded?.dispose();
  }
}
