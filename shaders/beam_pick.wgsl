// beam_pick: the tokens with the best scores of each row, best first, of equal scores the lower token first
//
//   score(token) = factor * (logit - ln(sum_i exp(logit_i))), with the factor of the row's rule for the token or 1;
//                  FORBIDDEN if the rule forbids it; in rows that renormalize, less ln(sum_i exp(score_i))
//
//   logits    [rows, VOCAB] f32
//   rows, rule_tokens, rule_factors: lib/beam_row.wgsl
//   partials  [rows, CHUNKS] from beam_scan
//   results   [rows, RESULT_WORDS] u32: pairs of token and score, as many as the row asks for; where the vocabulary is
//             smaller, token 0 with the score FORBIDDEN. Rows that did not ask are left alone.
//   grid      one workgroup per row
//
// `heads` knows the best score that is left in each chunk of the vocabulary, so that a candidate costs one pass over
// the heads and one over the chunk where it is.

// Specialized by src/kernels/beam_candidates.ts.
const VOCAB: u32 = 5000u;
const CHUNK: u32 = 2048u;
const WORKGROUP: u32 = 256u;

const CHUNKS: u32 = (VOCAB + CHUNK - 1u) / CHUNK;
const RESULT_WORDS: u32 = 128u;

//!include REDUCE lib/reduce_tree.wgsl
//!include lib/block_best.wgsl
//!include lib/beam_row.wgsl

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> rule_tokens: array<u32>;
@group(0) @binding(3) var<storage, read> rule_factors: array<f32>;
@group(0) @binding(4) var<storage, read> partials: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> results: array<u32>;

// Scores are not positive: the bits of their magnitudes are in the same order as these.
var<workgroup> heads: array<atomic<u32>, CHUNKS>;

// ln(sum_i exp(logit_i)) in two parts: their sum would lose the digits of small differences.
struct Softmax {
  largest: f32,
  log_sum: f32,
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x;
  let count = row_u32(row, COUNT);
  if (count == 0u) {
    return;
  }
  let softmax = row_softmax(row);
  find_heads(row, softmax, lane);
  workgroupBarrier();
  var surplus = 0.0;
  if (row_u32(row, RENORMALIZES) != 0u) {
    surplus = log_sum_of_scores(row, softmax, lane);
  }

  var previous = Best(0.0, 0u);
  for (var n = 0u; n < min(count, VOCAB); n++) {
    workgroupBarrier();
    let chunk = best_chunk();
    load_rules(row, chunk * CHUNK, lane);
    if (lane.thread == 0u) {
      atomicStore(&heads[chunk], bitcast<u32>(abs(NONE)));
    }
    let best = block_best(best_after(previous, n == 0u, row, chunk, softmax, lane), lane);
    let next = best_after(best, false, row, chunk, softmax, lane);
    atomicMin(&heads[chunk], bitcast<u32>(abs(next.value)));
    if (lane.thread == 0u) {
      results[row * RESULT_WORDS + 2u * n] = best.id;
      let score = select(FORBIDDEN, min(best.value - surplus, 0.0), best.value > FORBIDDEN);
      results[row * RESULT_WORDS + 2u * n + 1u] = bitcast<u32>(score);
    }
    previous = best;
  }
  for (var n = VOCAB + lane.thread; n < count; n += WORKGROUP) {
    results[row * RESULT_WORDS + 2u * n] = 0u;
    results[row * RESULT_WORDS + 2u * n + 1u] = bitcast<u32>(FORBIDDEN);
  }
}

// The chunks are few: each thread for itself takes less time than the barriers of a reduction.
fn row_softmax(row: u32) -> Softmax {
  var largest = NONE;
  for (var i = 0u; i < CHUNKS; i++) {
    largest = max(largest, partials[row * CHUNKS + i].x);
  }
  var sum = 0.0;
  for (var i = 0u; i < CHUNKS; i++) {
    let chunk = partials[row * CHUNKS + i];
    sum += chunk.y * exp(max(chunk.x - largest, -80.0));
  }
  return Softmax(largest, log(sum));
}

// Not positive, whatever the rounding.
fn logprob(logit: f32, softmax: Softmax) -> f32 {
  return min(bounded(logit) - softmax.largest - softmax.log_sum, 0.0);
}

// From the scan what has no rule, and the tokens that have one.
fn find_heads(row: u32, softmax: Softmax, lane: Lane) {
  for (var i = lane.thread; i < CHUNKS; i += WORKGROUP) {
    let logit = partials[row * CHUNKS + i].z;
    let score = select(logprob(logit, softmax), NONE, logit == NONE);
    atomicStore(&heads[i], bitcast<u32>(abs(score)));
  }
  workgroupBarrier();
  let start = row_u32(row, RULE_START);
  for (var i = start + lane.thread; i < start + row_u32(row, RULE_COUNT); i += WORKGROUP) {
    let token = rule_tokens[i];
    if (token < VOCAB) {
      let score = ruled(logprob(logits[row * VOCAB + token], softmax), rule_factors[i]);
      atomicMin(&heads[token / CHUNK], bitcast<u32>(abs(score)));
    }
  }
}

// ln(sum_i exp(score_i)) over the tokens that are allowed.
fn log_sum_of_scores(row: u32, softmax: Softmax, lane: Lane) -> f32 {
  let best = -bitcast<f32>(atomicLoad(&heads[best_chunk()]));
  var mine = 0.0;
  for (var i = lane.thread; i < CHUNKS; i += WORKGROUP) {
    let chunk = partials[row * CHUNKS + i];
    mine += chunk.w * exp(max(logprob(chunk.z, softmax) - best, -80.0));
  }
  let start = row_u32(row, RULE_START);
  for (var i = start + lane.thread; i < start + row_u32(row, RULE_COUNT); i += WORKGROUP) {
    let token = rule_tokens[i];
    if (token < VOCAB) {
      let score = ruled(logprob(logits[row * VOCAB + token], softmax), rule_factors[i]);
      mine += select(exp(max(score - best, -80.0)), 0.0, score == FORBIDDEN);
    }
  }
  return best + log(block_sum(mine, lane));
}

// The chunk with the best head; of equal ones the first, which has the lower tokens.
fn best_chunk() -> u32 {
  var chunk = 0u;
  var least = atomicLoad(&heads[0]);
  for (var i = 1u; i < CHUNKS; i++) {
    let head = atomicLoad(&heads[i]);
    if (head < least) {
      chunk = i;
      least = head;
    }
  }
  return chunk;
}

// The best of this thread's tokens of a chunk after `previous`, or of all, in the order of results.
fn best_after(
  previous: Best,
  of_all: bool,
  row: u32,
  chunk: u32,
  softmax: Softmax,
  lane: Lane,
) -> Best {
  let first = chunk * CHUNK;
  var mine = Best(NONE, 0u);
  for (var i = lane.thread; i < min(CHUNK, VOCAB - first); i += WORKGROUP) {
    let token = first + i;
    let score = ruled(logprob(logits[row * VOCAB + token], softmax), factors[i]);
    let is_after = score < previous.value || (score == previous.value && token > previous.id);
    if ((of_all || is_after) && score > mine.value) {
      mine = Best(score, token);
    }
  }
  return mine;
}
