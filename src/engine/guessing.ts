import { DraftCache } from './core/draft_cache.ts';
import { PROMPT_LOOKUP } from './core/prompt_lookup.ts';
import type { ScheduledStep } from './core/scheduled_step.ts';
import type { SchedulerOptions } from './core/scheduler_options.ts';
import { Speculation } from './core/speculation.ts';
import { StepCosts } from './core/step_costs.ts';
import { DraftingRunner } from './drafting_runner.ts';
import { decoderOf, type GenerativeModel } from './generation.ts';
import type { ResolvedLimits } from './limits.ts';
import type { PlacedModel } from './recovery.ts';
import { Runner } from './runner.ts';

/** A model that guesses what another says, and its sizes: slots and budget are those of the other. */
export interface DraftModel {
  readonly draft?: GenerativeModel | undefined;
  readonly draftLimits?: ResolvedLimits | undefined;
}

/** Who guesses tokens, if anybody: the text so far or a draft model; and whether it pays. Outlives a lost device. */
export class Guessing {
  /** Undefined where no tokens are guessed. */
  readonly speculation: Speculation | undefined;
  readonly #limits: ResolvedLimits;
  readonly #draftLimits: ResolvedLimits | undefined;
  readonly #cache: DraftCache | undefined;
  readonly #costs = new StepCosts();
  /** When the last result came. */
  #resultMs = 0;
  #verifications = 0;

  constructor(limits: ResolvedLimits, { draft, draftLimits }: DraftModel) {
    this.#limits = limits;
    this.#draftLimits = draftLimits;
    if (limits.maxDrafts === 0) return;
    if (draft !== undefined && draftLimits !== undefined) {
      this.#cache = new DraftCache(schedulerOptions(draftLimits, draft));
    }
    this.speculation = new Speculation(this.#cache ?? PROMPT_LOOKUP, this.#costs, limits);
  }

  /** Times that several tokens of a sequence were verified at once. */
  get verifications(): number {
    return this.#verifications;
  }

  /** Gives a runner what it needs to have tokens guessed. */
  settle(runner: Runner, { device, draft }: PlacedModel<GenerativeModel>): Runner | DraftingRunner {
    if (draft === undefined || this.#draftLimits === undefined || this.#cache === undefined) {
      return runner;
    }
    const widths = { tableWidth: this.#cache.tableWidth, crossTableWidth: 0 };
    const drafting = new Runner(device, draft, this.#draftLimits, widths);
    return new DraftingRunner(runner, drafting, this.#cache, this.#limits);
  }

  /** The device and its memory are gone. */
  clear(): void {
    this.#cache?.clear();
  }

  /** Learns from a step whose result is here what such steps take. */
  measure({ entries, numTokens, numSingles }: ScheduledStep, startMs: number): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - Math.max(startMs, this.#resultMs);
    const verified = entries.filter(({ drafts }) => drafts.length > 0).length;
    this.#resultMs = nowMs;
    this.#verifications += verified;
    // Prompts make a step as long as they are.
    if (numTokens === numSingles) this.#costs.record(numTokens, verified > 0, elapsedMs);
  }
}

/** What a scheduler must know of a model and its sizes. */
export function schedulerOptions(
  { pages, ...limits }: ResolvedLimits,
  model: GenerativeModel,
): SchedulerOptions {
  const { pageSize, contextLength, maxSequences, maxRows, tokenBudget, maxInFlight } = limits;
  const { window } = decoderOf(model).kv;
  const sizes = { numBlocks: pages, pageSize, contextLength, window };
  const inputs = { maxEncoderInput: limits.inputLength, encoderBudget: limits.encoderBudget };
  return {
    ...sizes,
    maxSequences,
    maxRows,
    tokenBudget,
    maxInFlight,
    ...('decoder' in model && inputs),
  };
}
