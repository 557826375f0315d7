import type { LoadProgress, RecoveryEvent } from '../engine/api.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import type { Kind, LoadOptionsByKind, Models } from './protocol.ts';

/** One who uses a model: hears how it fares. */
export interface ModelUser {
  progress(progress: LoadProgress): void;
  recovery(event: RecoveryEvent): void;
}

/** A user's share in a model. */
export interface Lease<Model> {
  /** Rejects if loading fails, or everyone who waited for it has left. */
  readonly model: Promise<Model>;
  /** Gives the share up; the last one frees the model, or stops its loading. Does nothing the second time. */
  release(): Promise<void>;
  /** The model has failed: nobody else is given it. */
  evict(): void;
}

type Load<K extends Kind> = (
  from: ModelLocation,
  options: LoadOptionsByKind[K],
) => Promise<Models[K]>;

/** How each kind of model is loaded. */
export type Loaders = { readonly [K in Kind]: Load<K> };

/** The models of a worker: those of a kind loaded by the same key are one, and live until the last user leaves. */
export class ModelPool {
  readonly #loaders: Loaders;
  readonly #shared: { readonly [K in Kind]: Map<string, SharedModel<K>> } = {
    engine: new Map(),
    encoder: new Map(),
    seq2seq: new Map(),
  };

  constructor(loaders: Loaders) {
    this.#loaders = loaders;
  }

  /** @param key - which model of its kind it is; undefined for one that is not shared */
  lease<K extends Kind>(
    kind: K,
    key: string | undefined,
    from: ModelLocation,
    options: LoadOptionsByKind[K],
    user: ModelUser,
  ): Lease<Models[K]> {
    const sharedOnes: Map<string, SharedModel<K>> = this.#shared[kind];
    let shared = key === undefined ? undefined : sharedOnes.get(key);
    if (shared === undefined) {
      const created = new SharedModel<K>(this.#loaders[kind], from, options, () => {
        if (key !== undefined && sharedOnes.get(key) === created) sharedOnes.delete(key);
      });
      if (key !== undefined) sharedOnes.set(key, created);
      shared = created;
    }
    return shared.join(user);
  }
}

/** A model, its users, and what those who come later have missed. */
class SharedModel<K extends Kind> {
  readonly #model: Promise<Models[K]>;
  readonly #users = new Set<ModelUser>();
  readonly #abort = new AbortController();
  readonly #evict: () => void;
  #lastProgress: LoadProgress | undefined;

  /** @param evict - called when nobody else may join */
  constructor(
    load: Load<K>,
    from: ModelLocation,
    options: LoadOptionsByKind[K],
    evict: () => void,
  ) {
    this.#evict = evict;
    this.#model = load(from, {
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
    this.#model.catch(evict);
  }

  join(user: ModelUser): Lease<Models[K]> {
    this.#users.add(user);
    if (this.#lastProgress !== undefined) user.progress(this.#lastProgress);
    return { model: this.#model, evict: this.#evict, release: () => this.#release(user) };
  }

  async #release(user: ModelUser): Promise<void> {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    this.#evict();
    this.#abort.abort();
    const loaded = await this.#model.catch(() => undefined);
    await loaded?.dispose();
  }
}
