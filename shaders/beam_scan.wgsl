// beam_scan: what each chunk of the vocabulary adds to a row's log-softmax, and its largest logit without a rule
//
//   logits    [rows, VOCAB] f32
//   rows, rule_tokens, rule_factors: lib/beam_row.wgsl
//   partials  [rows, CHUNKS] (max logit, sum exp(logit - max logit), and the same of tokens without a rule; NONE and 0
//             where there are none)
//   grid      (CHUNKS, rows); rows that did not ask end at once

// Specialized by src/kernels/beam_candidates.ts.
const VOCAB: u32 = 5000u;
const CHUNK: u32 = 2048u;
const WORKGROUP: u32 = 256u;

const CHUNKS: u32 = (VOCAB + CHUNK - 1u) / CHUNK;

//!include REDUCE lib/reduce_tree.wgsl
//!include lib/beam_row.wgsl

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> rule_tokens: array<u32>;
@group(0) @binding(3) var<storage, read> rule_factors: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.y;
  if (row_u32(row, COUNT) == 0u) {
    return;
  }
  let first = group.x * CHUNK;
  let length = min(CHUNK, VOCAB - first);
  let start = row * VOCAB + first;
  load_rules(row, first, lane);

  var mine = vec4f(NONE);
  for (var i = lane.thread; i < length; i += WORKGROUP) {
    let logit = bounded(logits[start + i]);
    mine.x = max(mine.x, logit);
    if (factors[i] == NO_RULE) {
      mine.y = max(mine.y, logit);
    }
  }
  let largest = block_max4(mine, lane);
  var my_sums = vec4f(0.0);
  for (var i = lane.thread; i < length; i += WORKGROUP) {
    let logit = bounded(logits[start + i]);
    my_sums.x += exp(max(logit - largest.x, -80.0));
    if (factors[i] == NO_RULE) {
      my_sums.y += exp(max(logit - largest.y, -80.0));
    }
  }
  let sums = block_sum4(my_sums, lane);
  if (lane.thread == 0u) {
    partials[row * CHUNKS + group.x] = vec4f(largest.x, sums.x, largest.y, sums.y);
  }
}
