// sample_logprobs: ln p(token) = logit - ln(sum_i exp(logit_i)) of the drawn token and of the most probable ones
//
//   logits   [rows, VOCAB] f32, as the model made them: before penalties, bias and temperature
//   partials [rows, CHUNKS] from sample_scan
//   results  [rows, RESULT_WORDS] u32, after sample_pick: the token's log-probability, then (token, log-probability)
//            from the most probable down, of equal logits the lower token first; other rows are left alone
//   grid     one workgroup per row; rows that did not ask end at once
//
// Each of the few alternatives takes one pass over the row for the best that comes after the one before.

// Specialized by src/kernels/sample.ts.
const VOCAB: u32 = 5000u;
const CHUNK: u32 = 2048u;
const WORKGROUP: u32 = 256u;

const CHUNKS: u32 = (VOCAB + CHUNK - 1u) / CHUNK;

//!include REDUCE lib/reduce_tree.wgsl
//!include lib/block_best.wgsl
//!include lib/sample_row.wgsl

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> results: array<u32>;

// The best token after `previous` in the order of falling logits, then of rising tokens.
fn next_best(start: u32, previous: Best, lane: Lane) -> Best {
  var mine = Best(-3e38, 0u);
  for (var i = lane.thread; i < VOCAB; i += WORKGROUP) {
    let logit = logits[start + i];
    let is_after = logit < previous.value || (logit == previous.value && i > previous.id);
    if (is_after && logit > mine.value) {
      mine = Best(logit, i);
    }
  }
  return block_best(mine, lane);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x;
  if ((rows[row * ROW_WORDS + FLAGS] & WANTS_LOGPROBS) == 0u) {
    return;
  }
  let start = row * VOCAB;
  let result = row * RESULT_WORDS;

  var my_largest = -3e38;
  for (var i = lane.thread; i < CHUNKS; i += WORKGROUP) {
    my_largest = max(my_largest, partials[row * CHUNKS + i].z);
  }
  let largest = block_max(my_largest, lane);
  var my_sum = 0.0;
  for (var i = lane.thread; i < CHUNKS; i += WORKGROUP) {
    let chunk = partials[row * CHUNKS + i];
    my_sum += chunk.w * exp(max(chunk.z - largest, -80.0));
  }
  let log_sum = log(block_sum(my_sum, lane));

  if (lane.thread == 0u) {
    let logit = logits[start + results[result]];
    results[result + 1u] = bitcast<u32>(logit - largest - log_sum);
  }
  var best = Best(3e38, 0u);
  for (var n = 0u; n < min(row_u32(row, TOP_LOGPROBS), VOCAB); n++) {
    best = next_best(start, best, lane);
    if (lane.thread == 0u) {
      results[result + 2u + 2u * n] = best.id;
      results[result + 3u + 2u * n] = bitcast<u32>(best.value - largest - log_sum);
    }
  }
}
