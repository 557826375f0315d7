import type { DraftCache } from './core/draft_cache.ts';
import type { ScheduledStep } from './core/scheduled_step.ts';
import { placeOfDraft } from './last_tokens.ts';
import type { ResolvedLimits } from './limits.ts';
import type { RunnerTotals, StepRunner } from './residency.ts';
import type { Runner, StepSource } from './runner.ts';
import type { EntryResult } from './step_results.ts';

/**
 * Runs steps whose drafts a second model makes on the same device. The drafts stay on the GPU: nothing waits for them but
 * the step that verifies them.
 */
export class DraftingRunner implements StepRunner {
  /** Of the model whose tokens are guessed. */
  readonly target: Runner;
  readonly #draft: Runner;
  readonly #cache: DraftCache;
  readonly #limits: ResolvedLimits;

  /** @param limits - of the target */
  constructor(target: Runner, draft: Runner, cache: DraftCache, limits: ResolvedLimits) {
    this.target = target;
    this.#draft = draft;
    this.#cache = cache;
    this.#limits = limits;
  }

  /** Of both models; GPU time of the target only. */
  get totals(): RunnerTotals {
    const { steps, dispatches } = this.#draft.totals;
    const totals = this.target.totals;
    return {
      ...totals,
      steps: totals.steps + steps,
      dispatches: totals.dispatches + dispatches,
    };
  }

  async prepare(): Promise<void> {
    await this.target.prepare();
    await this.#draft.prepare();
  }

  forget(): void {
    this.target.forget();
    this.#draft.forget();
  }

  /** As {@link Runner.submit}. */
  async submit(
    step: ScheduledStep,
    source: StepSource,
  ): Promise<{ readonly results: Promise<readonly EntryResult[]> }> {
    const samplings = new Map(
      step.entries.map((entry) => [entry.slot, source.samplingOf(entry)] as const),
    );
    const draftSource: StepSource = {
      // With the noise of the target: where the two distributions agree, so do the draws. Daliri et al. 2024,
      // arXiv:2408.07978.
      samplingOf: ({ slot }) => {
        const sampling = samplings.get(slot);
        return sampling && { ...sampling, topLogprobs: undefined };
      },
      rulesOf: () => undefined,
      fillTableRow: (shadow, row) => this.#cache.fillTableRow(shadow, row),
      fillCrossTableRow: () => undefined,
    };
    return this.target.submit(step, source, async () => {
      for (const { step: round, index } of this.#cache.rounds(step)) {
        await this.#draft.run(round, draftSource, (encoder) => {
          if (index !== undefined) this.#copyDrafts(encoder, index);
        });
      }
    });
  }

  /** Copies what the draft model sampled last in every slot, of use or not. */
  #copyDrafts(encoder: GPUCommandEncoder, index: number): void {
    const from = this.#draft.lastTokens;
    const to = this.target.lastTokens;
    const place = to.offset + placeOfDraft(this.#limits, index, 0) * 4;
    const sizeBytes = this.#limits.maxSequences * 4;
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, place, sizeBytes);
  }
}
