/**
 * A GPU made of integers: runs scheduled steps against a paged memory and a toy model.
 *
 * The toy model's "keys and values" at a position are a hash of everything they depend on: all tokens up to there,
 * the encoder input and the salt (and, past `cacheLimit`, the request itself). Every read through a block table row is
 * compared with that hash, so a block shared, copied, reused, wrapped or freed wrongly cannot go unnoticed.
 */
import { expect } from 'vitest';
import type { Request, RequestOptions } from '../../../../src/engine/core/request.ts';
import type { ScheduledStep, StepEntry } from '../../../../src/engine/core/scheduled_step.ts';
import type { Scheduler } from '../../../../src/engine/core/scheduler.ts';

export interface FakeGpuOptions {
  readonly numBlocks: number;
  readonly pageSize: number;
  readonly window?: number | undefined;
  readonly maxSequences: number;
  /** Ids the toy model generates are below this. */
  readonly vocab: number;
  /** Of 7 samples, those that a worse model gets wrong; absent: none. */
  readonly wrong?: number;
}

/** `expect` is too slow for what is checked a million times. */
export function ensure(condition: boolean, invariant: string): void {
  if (!condition) {
    expect.fail(`broken: ${invariant}`);
  }
}

function mix(hash: number, value: number): number {
  const h = Math.imul(hash ^ value, 0x9e3779b1);
  return (h ^ (h >>> 15)) >>> 0;
}

/** What the toy model makes of what a request has before its first token. */
function firstState({ cacheSalt = 0, encoderInput = [] }: Partial<RequestOptions>): number {
  return encoderInput.reduce(nextState, cacheSalt);
}

/** State of the toy model after a token: what its keys and values hold. */
function nextState(state: number, token: number): number {
  return mix(state, token + 1);
}

/** What the toy model samples after `tokens`; a worse one gets some of them wrong. */
export function sampleAfter(
  options: Partial<RequestOptions>,
  tokens: readonly number[],
  vocab: number,
  wrong = 0,
): number {
  return sampleIn(tokens.reduce(nextState, firstState(options)), { vocab, wrong });
}

function sampleIn(
  state: number,
  { vocab, wrong = 0 }: Pick<FakeGpuOptions, 'vocab' | 'wrong'>,
): number {
  return (state + Number((state >>> 8) % 7 < wrong)) % vocab;
}

/** What the toy model generates for a request that is alone in the world. */
export function generateAlone(options: RequestOptions, vocab: number, capacity: number): number[] {
  const stopIds = new Set(options.stopIds);
  const generated: number[] = [];
  let state = options.prompt.reduce(nextState, firstState(options));
  const limit = Math.min(options.maxTokens ?? Infinity, capacity + 1 - options.prompt.length);
  while (generated.length < limit) {
    const token = state % vocab;
    generated.push(token);
    if (stopIds.has(token)) {
      break;
    }
    state = nextState(state, token);
  }
  return generated;
}

/** Where blocks are. */
type Tables = Pick<Scheduler, 'tableWidth' | 'fillTableRow'> &
  Partial<Pick<Scheduler, 'crossTableWidth' | 'fillCrossTableRow'>>;

type DraftOf = (slot: number, index: number) => number;

/** What a step brought: ids and drafts of each entry. */
export interface FakeResults {
  readonly ids: readonly (readonly number[])[];
  readonly drafts: readonly (readonly number[])[];
}

export class FakeGpu {
  readonly #options: FakeGpuOptions;
  readonly #memory: Float64Array;
  readonly #lastToken: Int32Array;
  /** Tokens each slot has computed, as the GPU itself knows them. */
  readonly #history: { owner: Request; tokens: number[] }[] = [];

  constructor(options: FakeGpuOptions) {
    this.#options = options;
    this.#memory = new Float64Array(options.numBlocks * options.pageSize).fill(-1);
    this.#lastToken = new Int32Array(options.maxSequences).fill(-1);
  }

  /** Forgets everything, like a lost device. */
  lose(): void {
    this.#memory.fill(-1);
    this.#lastToken.fill(-1);
    this.#history.length = 0;
  }

  /**
   * Runs a step that was just scheduled.
   *
   * @param draftOf - the drafts that only the GPU knows
   */
  run(step: ScheduledStep, scheduler: Tables, draftOf: DraftOf = () => NaN): FakeResults {
    const rows = step.entries.map(({ request }) => {
      const row = new Int32Array(scheduler.tableWidth);
      scheduler.fillTableRow(request, row);
      return row;
    });
    for (const request of step.encodes) {
      for (const [address, value] of this.#crossStates(request, scheduler)) {
        this.#memory[address] = value;
      }
    }
    this.#copy(step);
    const drafts = step.entries.map(({ slot, drafts }) =>
      drafts.map((draft, i) => (draft >= 0 ? draft : draftOf(slot, i))),
    );
    const states = step.entries
      .map((entry, i) => this.#tokensUpTo(entry, drafts[i] ?? []))
      .map(([r, t]) => prefixStates(r, t));
    // All writes before all reads, as in every layer of the real thing.
    for (const [i, { start, kvLength }] of step.entries.entries()) {
      for (let p = start; p < kvLength; p++) {
        this.#memory[this.#address(rows[i], p)] = states[i]?.[p] ?? NaN;
      }
    }
    for (const [i, entry] of step.entries.entries()) {
      this.#checkReads(entry, rows[i], states[i] ?? []);
      for (const [address, value] of this.#crossStates(entry.request, scheduler)) {
        ensure(this.#memory[address] === value, 'the encoder output is there');
      }
    }
    const ids = step.entries.map((entry, i) => {
      if (!entry.samples) {
        return [-7];
      }
      const sampled = (states[i] ?? [])
        .slice(-1 - entry.drafts.length)
        .map((state) => sampleIn(state % 2 ** 32, this.#options));
      // After drafts it is not said whose sample is the last.
      this.#lastToken[entry.slot] = entry.drafts.length === 0 ? (sampled[0] ?? NaN) : NaN;
      return sampled;
    });
    return { ids, drafts };
  }

  /** The id sampled last in each slot. */
  get lastTokens(): readonly number[] {
    return [...this.#lastToken];
  }

  /** Input tokens of an entry appended to what its slot computed before. */
  #tokensUpTo(entry: StepEntry, drafts: readonly number[]): [Request, number[]] {
    const { request, slot, start, count, inputFromGpu, isFirst } = entry;
    if (isFirst) {
      this.#history[slot] = { owner: request, tokens: request.tokens.slice(0, start) };
    }
    const history = this.#history[slot];
    if (request.speculates && history !== undefined && history.tokens.length > start) {
      // Wrong drafts are computed over.
      ensure(!inputFromGpu, 'after drafts the last token is known');
      history.tokens = request.tokens.slice(0, start);
    }
    if (history?.owner !== request || history.tokens.length !== start) {
      return expect.fail(
        `slot ${slot} has computed ${history?.tokens.length} tokens, not the ${start} before`,
      );
    }
    if (request.group !== undefined) {
      // Beams may have gone on from one another, and what they sample is chosen by others.
      ensure(!inputFromGpu, 'the tokens of beams are known');
      history.tokens = request.tokens.slice(0, start);
    }
    const input = inputFromGpu
      ? [this.#lastToken[slot] ?? NaN]
      : [...request.tokens.slice(start, start + count - drafts.length), ...drafts];
    if (input.length !== count) {
      return expect.fail(`request ${request.id} has ${input.length} of ${count} input tokens`);
    }
    history.tokens.push(...input);
    return [request, [...history.tokens]];
  }

  /** Pages are copied all at once. */
  #copy({ copies }: ScheduledStep): void {
    const { pageSize } = this.#options;
    const targets = new Set(copies.map(({ to }) => to));
    ensure(targets.size === copies.length, 'no block is copied to twice');
    for (const { from, to } of copies) {
      ensure(!targets.has(from), 'no block is both copied from and to');
      this.#memory.copyWithin(to * pageSize, from * pageSize, (from + 1) * pageSize);
    }
  }

  /** Where the keys and values of a request's encoder output are, and what they must be. */
  #crossStates(request: Request, scheduler: Tables): readonly (readonly [number, number])[] {
    const row = new Int32Array(scheduler.crossTableWidth ?? 0);
    scheduler.fillCrossTableRow?.(request, row);
    const { encoderInput = [] } = request;
    const state = encoderInput.reduce(nextState, 0);
    return encoderInput.map((_, p) => [this.#address(row, p), mix(state, p) + 0.5]);
  }

  #checkReads({ start, kvLength }: StepEntry, row: Int32Array | undefined, states: number[]): void {
    const { window = Infinity } = this.#options;
    // The union of what the tokens of the entry attend to.
    for (let p = Math.max(0, start - window + 1); p < kvLength; p++) {
      const found = this.#memory[this.#address(row, p)];
      if (found !== states[p]) {
        expect.fail(
          `position ${p} of ${start}..${kvLength}: memory holds ${found}, expected ${states[p]}`,
        );
      }
    }
  }

  #address(row: Int32Array | undefined, position: number): number {
    const { pageSize, numBlocks } = this.#options;
    const entry = Math.floor(position / pageSize) % (row?.length ?? 0);
    const block = row?.[entry] ?? -1;
    if (!(block >= 0 && block < numBlocks)) {
      expect.fail(`table entry ${entry} names block ${block}`);
    }
    return block * pageSize + (position % pageSize);
  }
}

/** State after each token; past the cache limit also marked with the request, which makes them unshareable. */
function prefixStates(request: Request, tokens: readonly number[]): number[] {
  let state = firstState(request);
  const { id } = request.group?.requests[0] ?? request;
  return tokens.map((token, p) => {
    state = nextState(state, token);
    return p < request.cacheLimit ? state : state + (id + 1) * 2 ** 32;
  });
}
