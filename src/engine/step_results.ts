import type { Device } from '../gpu/device.ts';
import { workDone } from '../gpu/prompt.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Counts } from '../gpu/tensor.ts';
import {
  BEAM_RESULT_WORDS,
  decodeBeamRow,
  type BeamCandidate,
} from '../kernels/beam_candidates.ts';
import { decodeSampleRow, SAMPLE_RESULT_WORDS, type SampleResult } from '../kernels/sample.ts';
import { countSamples } from './core/scheduled_step.ts';
import { placeOfDraft } from './last_tokens.ts';
import type { ResolvedLimits } from './limits.ts';
import type { PlannedEntry } from './step_state.ts';

/** Names under which a recording keeps what the sampler found, and the candidates of beams. */
export const SAMPLES = 'samples';
export const BEAMS = 'beams';

/** What one entry of a step brought, if it sampled: tokens, or the candidates of a beam. */
export interface EntryResult {
  /** One, and one more after each draft. */
  readonly samples?: readonly SampleResult[];
  /** The drafts, where the step knew them on the GPU only. */
  readonly drafts?: readonly number[];
  readonly candidates?: readonly BeamCandidate[];
}

/** Reads back what steps brought. */
export class StepResults {
  readonly #device: Device;
  readonly #vocab: number;
  readonly #limits: ResolvedLimits;
  readonly #ring: ReadbackRing;

  constructor(
    device: Device,
    limits: ResolvedLimits,
    { vocab, hasBeams }: { readonly vocab: number; readonly hasBeams: boolean },
  ) {
    const words = SAMPLE_RESULT_WORDS + (hasBeams ? BEAM_RESULT_WORDS : 0);
    const { maxInFlight, maxRows, maxDrafts, maxSequences } = limits;
    this.#device = device;
    this.#vocab = vocab;
    this.#limits = limits;
    const mostWords = maxRows * words + maxDrafts * maxSequences;
    this.#ring = new ReadbackRing(device, maxInFlight + 1, mostWords * 4);
  }

  /**
   * Encodes the reading of a step's results: of the sampler's, up to the last row's id where no log-probabilities were
   * asked for, of the beams' candidates, and of the drafts that only the GPU knows.
   *
   * @param lastTokens - where those are
   * @returns a function to call once after the submission, which waits for a result for each entry; empty for those that
   * do not sample
   */
  copy(
    encoder: GPUCommandEncoder,
    recording: Recording,
    { samples: rows, candidates }: Counts,
    planned: readonly PlannedEntry[],
    lastTokens: { readonly buffer: GPUBuffer; readonly offset: number },
  ): () => Promise<readonly EntryResult[]> {
    const samples = recording.kept(SAMPLES);
    const beams = recording.kept(BEAMS);
    if (rows === 0 || samples === undefined) {
      const { queue } = this.#device.gpu;
      return () => workDone(queue).then(() => planned.map(() => ({})));
    }
    const hasDrafts = planned.some(({ entry }) => areOnGpu(entry.drafts));
    const needsAll = candidates > 0 || beams !== undefined || hasDrafts;
    const lastRowWords = needsAll ? SAMPLE_RESULT_WORDS : 2;
    const ranges = [{ ...samples, size: ((rows - 1) * SAMPLE_RESULT_WORDS + lastRowWords) * 4 }];
    if (beams !== undefined) ranges.push({ ...beams, size: rows * BEAM_RESULT_WORDS * 4 });
    if (hasDrafts) {
      const { maxDrafts, maxSequences } = this.#limits;
      const first = lastTokens.offset + placeOfDraft(this.#limits, 0, 0) * 4;
      ranges.push({ ...lastTokens, offset: first, size: maxDrafts * maxSequences * 4 });
    }
    const read = this.#ring.copy(
      encoder,
      ...ranges.map(({ buffer, offset = 0, size }) => ({ buffer, offset, size })),
    );
    const topCounts = planned.map(({ sampling }) =>
      Math.min(sampling.topLogprobs ?? 0, this.#vocab),
    );
    return () => read((bytes) => decode(planned, bytes, topCounts, this.#limits));
  }
}

function decode(
  planned: readonly PlannedEntry[],
  bytes: ArrayBuffer,
  topCounts: readonly number[],
  { maxSequences }: ResolvedLimits,
): readonly EntryResult[] {
  const rows = planned.reduce((sum, { entry }) => sum + countSamples(entry), 0);
  const beams = bytes.slice(rows * SAMPLE_RESULT_WORDS * 4);
  // Beams and drafts are never in one step.
  const drafted = new Uint32Array(beams);
  let next = 0;
  return planned.map(({ entry, rules }, i) => {
    const first = next;
    const count = countSamples(entry);
    next += count;
    if (count === 0) return {};
    if (rules !== undefined) return { candidates: decodeBeamRow(beams, first, rules.count) };
    const sampleAt = (_: unknown, j: number): SampleResult =>
      decodeSampleRow(bytes, first + j, topCounts[i] ?? 0);
    const samples = Array.from({ length: count }, sampleAt);
    if (!areOnGpu(entry.drafts)) return { samples };
    const draftAt = (_: unknown, j: number): number => drafted[j * maxSequences + entry.slot] ?? -1;
    return { samples, drafts: entry.drafts.map(draftAt) };
  });
}

function areOnGpu(drafts: readonly number[]): boolean {
  return drafts[0] === -1;
}
