// route: experts[t] = argmax_e(logits[t, e]), the first of equals;  weights[t] = softmax(logits[t])[experts[t]]
//
//   logits [rows, EXPERTS] f32      experts [rows] u32      weights [rows] f32
//   grid   rows / WORKGROUP; one thread per token
//
// Fedus et al. 2021, arXiv:2101.03961, eq. 1 and 2 with one expert.

// Specialized by src/kernels/route.ts.
const EXPERTS: u32 = 8u;
const ROW_COUNT: u32 = 0u;
const WORKGROUP: u32 = 64u;

//!include lib/counts.wgsl

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> experts: array<u32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= count(ROW_COUNT)) {
    return;
  }
  let first = row * EXPERTS;
  var best = 0u;
  var largest = logits[first];
  for (var e = 1u; e < EXPERTS; e++) {
    let logit = logits[first + e];
    if (logit > largest) {
      largest = logit;
      best = e;
    }
  }
  var sum = 0.0;
  for (var e = 0u; e < EXPERTS; e++) {
    sum += exp(max(logits[first + e] - largest, -80.0));
  }
  experts[row] = best;
  weights[row] = 1.0 / sum;
}
