import type { Device } from '../gpu/device.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Counts } from '../gpu/tensor.ts';
import {
  BEAM_RESULT_WORDS,
  decodeBeamRow,
  type BeamCandidate,
} from '../kernels/beam_candidates.ts';
import { decodeSampleRow, SAMPLE_RESULT_WORDS, type SampleResult } from '../kernels/sample.ts';
import type { ResolvedLimits } from './limits.ts';
import type { PlannedEntry } from './step_state.ts';

/** Names under which a recording keeps what the sampler found, and the candidates of beams. */
export const SAMPLES = 'samples';
export const BEAMS = 'beams';

/** What one entry of a step brought, if it sampled: a token, or the candidates of a beam. */
export interface EntryResult {
  readonly sample?: SampleResult;
  readonly candidates?: readonly BeamCandidate[];
}

/** Reads back what steps brought. */
export class StepResults {
  readonly #device: Device;
  readonly #vocab: number;
  readonly #ring: ReadbackRing;

  constructor(
    device: Device,
    { maxInFlight, maxSequences }: ResolvedLimits,
    { vocab, hasBeams }: { readonly vocab: number; readonly hasBeams: boolean },
  ) {
    const words = SAMPLE_RESULT_WORDS + (hasBeams ? BEAM_RESULT_WORDS : 0);
    this.#device = device;
    this.#vocab = vocab;
    this.#ring = new ReadbackRing(device, maxInFlight + 1, maxSequences * words * 4);
  }

  /**
   * Encodes the reading of a step's results: of the sampler's, up to the last row's id where no log-probabilities were
   * asked for, and of the beams' candidates.
   *
   * @returns a function to call once after the submission, which waits for a result for each entry; empty for those that
   * do not sample
   */
  copy(
    encoder: GPUCommandEncoder,
    recording: Recording,
    { samples: rows, candidates }: Counts,
    planned: readonly PlannedEntry[],
  ): () => Promise<readonly EntryResult[]> {
    const samples = recording.kept(SAMPLES);
    const beams = recording.kept(BEAMS);
    if (rows === 0 || samples === undefined) {
      const { queue } = this.#device.gpu;
      return () => queue.onSubmittedWorkDone().then(() => planned.map(() => ({})));
    }
    const needsAll = candidates > 0 || beams !== undefined;
    const lastRowWords = needsAll ? SAMPLE_RESULT_WORDS : 2;
    const ranges = [{ ...samples, size: ((rows - 1) * SAMPLE_RESULT_WORDS + lastRowWords) * 4 }];
    if (beams !== undefined) ranges.push({ ...beams, size: rows * BEAM_RESULT_WORDS * 4 });
    const read = this.#ring.copy(
      encoder,
      ...ranges.map(({ buffer, offset = 0, size }) => ({ buffer, offset, size })),
    );
    const topCounts = planned.map(({ sampling }) =>
      Math.min(sampling.topLogprobs ?? 0, this.#vocab),
    );
    return () => read((bytes) => decode(planned, bytes, topCounts));
  }
}

function decode(
  planned: readonly PlannedEntry[],
  bytes: ArrayBuffer,
  topCounts: readonly number[],
): readonly EntryResult[] {
  const samples = planned.filter(({ entry }) => entry.samples).length;
  const beams = bytes.slice(samples * SAMPLE_RESULT_WORDS * 4);
  let row = 0;
  return planned.map(({ entry, rules }, i) => {
    if (!entry.samples) return {};
    const at = row;
    row += 1;
    return rules === undefined
      ? { sample: decodeSampleRow(bytes, at, topCounts[i] ?? 0) }
      : { candidates: decodeBeamRow(beams, at, rules.count) };
  });
}
