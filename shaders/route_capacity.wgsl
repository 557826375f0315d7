// route_capacity: weights[t] = 0 for each token t before which its sequence has CAPACITY tokens with the same expert
//
//   experts [rows] u32      weights [rows] f32
//   sequence_of [rows] u32      sequences [S, 4] u32: first row, ...
//   grid  rows / WORKGROUP; one thread per token
//
// Fedus et al. 2021, arXiv:2101.03961, section 2.2, expert capacity.

// Specialized by src/kernels/route.ts.
const CAPACITY: u32 = 4u;
const ROW_COUNT: u32 = 0u;
const WORKGROUP: u32 = 64u;

//!include lib/counts.wgsl

@group(0) @binding(0) var<storage, read> experts: array<u32>;
@group(0) @binding(1) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(2) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= count(ROW_COUNT)) {
    return;
  }
  let expert = experts[row];
  var earlier = 0u;
  for (var t = sequences[sequence_of[row]].x; t < row && earlier < CAPACITY; t++) {
    earlier += select(0u, 1u, experts[t] == expert);
  }
  if (earlier >= CAPACITY) {
    weights[row] = 0.0;
  }
}
