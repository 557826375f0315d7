import { computed, type ReadonlySignal, signal } from '@preact/signals';
import {
  DeviceLostError,
  Engine,
  type LoadOptions,
  NoWebGpuError,
  type RecoveryEvent,
  WorkerError,
} from 'quern';
import {
  ASK_FOLDER,
  askDownload,
  CANCELLED,
  explainLoadFailure,
  type Problem,
  type Surroundings,
} from '../problem.ts';
import { isFolderAllowed, isHubId, locationOf, nameOfChoice } from './model_choice.ts';
import type { ModelMemory } from './model_memory.ts';
import { RateMeter } from './rate_meter.ts';
import type { LoadState, ModelChoice } from './types.ts';

/** Loads models, one at a time: the last is freed before the next comes, so that two never share the GPU. */
export class ModelHost {
  readonly #memory: ModelMemory;
  readonly #surroundings: () => Surroundings;
  readonly #state = signal<LoadState>({ kind: 'none' });
  readonly #recent = signal<readonly ModelChoice[]>([]);
  #engine: Engine | undefined;
  #choice: ModelChoice = { kind: 'bundled' };
  /** Sent to the hub only; gone with the page. */
  #token: string | undefined;
  #loading: AbortController | undefined;
  /** Ends with the last load that was asked for: they run one after another. */
  #lastLoad: Promise<void> = Promise.resolve();

  readonly state: ReadonlySignal<LoadState> = this.#state;
  /** Models used before, the latest first, without the bundled one. */
  readonly recent: ReadonlySignal<readonly ModelChoice[]> = computed(() =>
    this.#recent.value.filter(({ kind }) => kind !== 'bundled'),
  );

  /** @param surroundings - looked at when a failure is to be explained */
  constructor(memory: ModelMemory, surroundings: () => Surroundings) {
    this.#memory = memory;
    this.#surroundings = surroundings;
  }

  /** The engine, while there is one that takes requests; during a recovery they wait. */
  get engine(): Engine | undefined {
    return this.#engine;
  }

  /**
   * Loads the model used last, or the bundled one. What would cost a download, or needs the user's permission, is
   * asked for first.
   */
  async start(): Promise<void> {
    const recent = await this.#memory.recall();
    this.#recent.value = recent;
    // The user was quicker.
    if (this.#state.peek().kind !== 'none') return;
    const choice = recent[0] ?? { kind: 'bundled' };
    const question = await questionBefore(choice);
    if (this.#state.peek().kind !== 'none') return;
    if (question === undefined) return this.load(choice);
    this.#choice = choice;
    this.#state.value = { kind: 'failed', choice, problem: question };
  }

  /**
   * Replaces the model. Errors are shown by `state`, never thrown.
   *
   * @param token - access token for gated and private repositories of the hub; kept until the page is closed
   */
  load(choice: ModelChoice, token: string | undefined = this.#token): Promise<void> {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#choice = choice;
    this.#token = token;
    this.#state.value = { kind: 'loading', choice };
    // Asked now, because it may only be asked while the click is handled.
    const isAllowed = choice.kind !== 'folder' || isFolderAllowed(choice.handle, true);
    this.#lastLoad = this.#lastLoad.then(async () =>
      this.#replace(choice, await isAllowed, loading),
    );
    return this.#lastLoad;
  }

  /** Loads the last choice again. */
  reload(): Promise<void> {
    return this.load(this.#choice);
  }

  /** Gives up loading, after which there is no model. */
  cancel(): void {
    this.#loading?.abort();
  }

  /** Asks the engine for fresh figures. */
  async refresh(): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined) return;
    try {
      const stats = await engine.stats();
      const state = this.#state.peek();
      if (engine === this.#engine && state.kind === 'ready') {
        this.#state.value = { ...state, stats };
      }
    } catch {
      // Disposed or dead: whoever has a request under way hears of it.
    }
  }

  /** Gives up an engine that has failed for good: its GPU was lost, or its worker died. */
  fail(engine: Engine, error: unknown): void {
    if (engine !== this.#engine) return;
    this.#engine = undefined;
    this.#showFailure(error);
    this.#lastLoad = this.#lastLoad.then(() => dispose(engine));
  }

  async #replace(choice: ModelChoice, isAllowed: boolean, loading: AbortController): Promise<void> {
    const { signal } = loading;
    const previous = this.#engine;
    this.#engine = undefined;
    if (previous !== undefined) await dispose(previous);
    const isCurrent = (): boolean => this.#loading === loading;
    if (!isAllowed) {
      if (isCurrent()) this.#state.value = { kind: 'failed', choice, problem: ASK_FOLDER };
      return;
    }
    let engine: Engine | undefined;
    try {
      engine = await this.#open(choice, signal);
      const stats = await engine.stats();
      signal.throwIfAborted();
      this.#engine = engine;
      this.#state.value = { kind: 'ready', choice, stats };
    } catch (error) {
      if (engine !== undefined) await dispose(engine);
      if (!isCurrent()) return;
      if (signal.aborted) this.#state.value = { kind: 'failed', choice, problem: CANCELLED };
      else this.#showFailure(error);
      return;
    }
    await this.#memory.remember(choice);
    this.#recent.value = await this.#memory.recall();
  }

  /** Loads in a worker, so that the page stays smooth; in the page itself where workers do not work or lack WebGPU. */
  async #open(choice: ModelChoice, signal: AbortSignal): Promise<Engine> {
    const meter = new RateMeter();
    let hasBegun = false;
    let engine: Engine | undefined;
    const isHub = choice.kind === 'remote' && isHubId(choice.location);
    const options: LoadOptions = {
      signal,
      onProgress: (progress) => {
        hasBegun = true;
        if (signal.aborted) return;
        this.#state.value = { kind: 'loading', choice, progress: meter.measure(progress) };
      },
      onRecovery: (event) => {
        if (engine !== undefined) void this.#showRecovery(engine, event);
      },
      ...(isHub &&
        this.#token !== undefined && {
          http: { headers: { Authorization: `Bearer ${this.#token}` } },
        }),
    };
    const location = locationOf(choice);
    try {
      engine = await Engine.load(location, { ...options, worker: true });
    } catch (error) {
      const isWorkersFault = error instanceof WorkerError || error instanceof NoWebGpuError;
      if (!isWorkersFault || hasBegun || !this.#surroundings().hasWebGpu) throw error;
      engine = await Engine.load(location, options);
    }
    return engine;
  }

  async #showRecovery(engine: Engine, { phase, reason }: RecoveryEvent): Promise<void> {
    const state = this.#state.peek();
    if (engine !== this.#engine || (state.kind !== 'ready' && state.kind !== 'recovering')) return;
    switch (phase) {
      case 'lost':
        this.#state.value = { ...state, kind: 'recovering' };
        break;
      case 'recovered':
        this.#state.value = { ...state, kind: 'ready' };
        await this.refresh();
        break;
      case 'failed':
        this.fail(engine, new DeviceLostError(reason));
        break;
    }
  }

  #showFailure(error: unknown): void {
    const choice = this.#choice;
    const problem = explainLoadFailure(error, this.#surroundings());
    this.#state.value = { kind: 'failed', choice, problem };
  }
}

/** What the user is asked before a model is loaded that he did not just choose. */
async function questionBefore(choice: ModelChoice): Promise<Problem | undefined> {
  if (choice.kind === 'remote') return askDownload(nameOfChoice(choice));
  if (choice.kind === 'folder' && !(await isFolderAllowed(choice.handle, false))) return ASK_FOLDER;
  return undefined;
}

/** An engine that failed may fail at this too. */
async function dispose(engine: Engine): Promise<void> {
  try {
    await engine.dispose();
  } catch {
    // Nothing is left that could be freed.
  }
}
