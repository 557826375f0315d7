// add_rms_norm: x[t, i] += delta[t, i];  y[t, i] = weight[i] * x[t, i] / sqrt(mean_j(x[t, j]^2) + eps)
//
//   x, delta, y  [rows, DIM] f32      weight [DIM] f32
//   grid         one workgroup per row; sums accumulate in f32
//
// The residual connection and the norm after it in one pass over the row.
// Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.

// Specialized by src/kernels/rms_norm.ts.
const DIM: u32 = 64u;
const EPS: f32 = 1e-6;
const WORKGROUP: u32 = 64u;

//!include REDUCE lib/reduce_tree.wgsl

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> delta: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x * DIM;

  // Each thread reads back only elements that it wrote itself.
  var sum = 0.0;
  for (var i = lane.thread; i < DIM; i += WORKGROUP) {
    let v = x[row + i] + delta[row + i];
    x[row + i] = v;
    sum += v * v;
  }
  let scale = inverseSqrt(block_sum(sum, lane) / f32(DIM) + EPS);

  for (var i = lane.thread; i < DIM; i += WORKGROUP) {
    y[row + i] = x[row + i] * scale * weight[i];
  }
}
