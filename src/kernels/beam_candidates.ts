import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  lastAxis,
  type DeviceTensor,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import pickSource from '../../shaders/beam_pick.wgsl?raw';
import scanSource from '../../shaders/beam_scan.wgsl?raw';
import { reduceLibrary, workgroupFor } from './variants.ts';

const scan = defineKernel({
  name: 'beam_scan',
  source: scanSource,
  bindings: {
    logits: 'read',
    rows: 'read',
    ruleTokens: 'read',
    ruleFactors: 'read',
    partials: 'write',
  },
});

const pick = defineKernel({
  name: 'beam_pick',
  source: pickSource,
  bindings: {
    logits: 'read',
    rows: 'read',
    ruleTokens: 'read',
    ruleFactors: 'read',
    partials: 'read',
    results: 'write',
  },
});

/** Most candidates a row can ask for. */
export const MAX_BEAM_CANDIDATES = 64;

/** Words of one row's parameters in step state. Layout: shaders/lib/beam_row.wgsl. */
export const BEAM_ROW_WORDS = 4;

/** Words of one row's results: as many pairs of token and score as can be asked for. */
export const BEAM_RESULT_WORDS: number = 2 * MAX_BEAM_CANDIDATES;

/** A rule with this factor, or a larger one, forbids its token. */
export const FORBIDDEN_FACTOR = 1e30;

/** Scores of candidates that are allowed are above it. */
const FORBIDDEN_SCORE = -3e38;

/** Tokens of the vocabulary that each thread handles of a chunk. */
const TOKENS_PER_THREAD = 8;
/** Most chunks: their heads lie in workgroup memory. */
const MAX_CHUNKS = 512;

/** What one row asks for. */
export interface BeamRow {
  /** Candidates, at most {@link MAX_BEAM_CANDIDATES}; 0 if the row is none of a beam search. */
  readonly count: number;
  /** Range of the step's rules that is this row's; its tokens are distinct. */
  readonly ruleStart: number;
  readonly ruleCount: number;
  /** Whether the probabilities of the tokens that the rules leave are to sum to 1. */
  readonly renormalizes: boolean;
}

/** Step state that the candidates depend on. */
export interface BeamState {
  /** u32 [maxSamples, BEAM_ROW_WORDS], written by {@link encodeBeamRow} */
  readonly rows: DeviceTensor;
  /** u32 [maxRules]: tokens of all rows' rules */
  readonly ruleTokens: DeviceTensor;
  /** f32 [maxRules]: what the token's log-probability is multiplied by, not negative */
  readonly ruleFactors: DeviceTensor;
}

/** A token that may come next, and its log-probability after the rules. */
export interface BeamCandidate {
  readonly token: number;
  readonly score: number;
}

/** Writes one row of `BeamState.rows`. */
export function encodeBeamRow(words: Uint32Array, row: number, params: BeamRow): void {
  const at = row * BEAM_ROW_WORDS;
  words[at] = Math.min(params.count, MAX_BEAM_CANDIDATES);
  words[at + 1] = params.ruleStart;
  words[at + 2] = params.ruleCount;
  words[at + 3] = Number(params.renormalizes);
}

/**
 * Reads one row of what {@link beamCandidates} returns: the allowed tokens among the best, best first, so fewer than
 * `count` if the rules or the vocabulary leave fewer.
 *
 * @param results - bytes of the result tensor, from its first row
 * @param count - as the row asked for
 */
export function decodeBeamRow(
  results: ArrayBuffer,
  row: number,
  count: number,
): readonly BeamCandidate[] {
  const view = new DataView(results, row * BEAM_RESULT_WORDS * 4);
  return Array.from({ length: Math.min(count, MAX_BEAM_CANDIDATES) }, (_, i) => ({
    token: view.getUint32(i * 8, true),
    score: view.getFloat32(i * 8 + 4, true),
  })).filter(({ score }) => score > FORBIDDEN_SCORE);
}

/**
 * Finds the tokens with the best scores of each row: log-softmax of the logits, then the row's rules. Of equal scores
 * the lower token comes first. Rows that ask for none are left alone.
 *
 * @param logits - f32 [rows, vocab]; not changed
 * @returns u32 [rows, BEAM_RESULT_WORDS], for {@link decodeBeamRow}; sums accumulate in f32
 * @throws {ShapeError} if a shape does not fit `logits`
 */
export function beamCandidates(logits: Tensor, state: BeamState): Tensor {
  const vocab = lastAxis('beam_candidates: logits', logits);
  const samples = expectRows('beam_candidates: logits', logits, 'f32', vocab);
  checkState(state, capacityOf(samples));

  const { recorder } = logits;
  const { rows, ruleTokens, ruleFactors } = state;
  const workgroup = workgroupFor(divCeil(vocab, TOKENS_PER_THREAD));
  const chunk = workgroup * TOKENS_PER_THREAD;
  const chunks = divCeil(vocab, chunk);
  if (chunks > MAX_CHUNKS) {
    const most = MAX_CHUNKS * chunk;
    throw new ShapeError(`beam_candidates: ${vocab} tokens, expected at most ${most}`);
  }
  const partials = recorder.scratch('f32', [samples, chunks, 4]);
  const results = recorder.scratch('u32', [samples, BEAM_RESULT_WORDS]);
  const slots = {
    VOCAB: vocab,
    CHUNK: chunk,
    WORKGROUP: workgroup,
    REDUCE: reduceLibrary(recorder.facts),
  };
  const inputs = { logits, rows, ruleTokens, ruleFactors };
  recorder.dispatch(scan, {
    slots,
    bindings: { ...inputs, partials },
    grid: [chunks, groupsOf(samples, 1)],
  });
  recorder.dispatch(pick, {
    slots,
    bindings: { ...inputs, partials, results },
    grid: [groupsOf(samples, 1)],
  });
  return results;
}

function checkState({ rows, ruleTokens, ruleFactors }: BeamState, samples: number): void {
  const count = capacityOf(expectRows('beam_candidates: rows', rows, 'u32', BEAM_ROW_WORDS));
  if (count < samples) {
    throw new ShapeError(`beam_candidates: rows has ${count} rows, expected at least ${samples}`);
  }
  const rules = expectRows('beam_candidates: ruleTokens', ruleTokens, 'u32');
  expectShape('beam_candidates: ruleFactors', ruleFactors, 'f32', [capacityOf(rules)]);
}
