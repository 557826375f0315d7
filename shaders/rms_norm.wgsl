// rms_norm: y[t, i] = weight[i] * x[t, i] / sqrt(mean_j(x[t, j]^2) + eps)
//
//   x, y    [rows, DIM] f32      weight [DIM] f32
//   grid    one workgroup per row; sums accumulate in f32
//
// Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.

// Specialized by src/kernels/rms_norm.ts; the values here are the defaults that tests compile.
const DIM: u32 = 64u;
const EPS: f32 = 1e-6;
const WORKGROUP: u32 = 64u;

//!include WIDE lib/wide_1.wgsl
//!include REDUCE lib/reduce_tree.wgsl

@group(0) @binding(0) var<storage, read> x: array<Wide>;
@group(0) @binding(1) var<storage, read> weight: array<Wide>;
@group(0) @binding(2) var<storage, read_write> y: array<Wide>;

// Wides in a row.
const SIZE: u32 = DIM / WIDTH;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x * SIZE;

  var sum = Wide();
  for (var i = lane.thread; i < SIZE; i += WORKGROUP) {
    let v = x[row + i];
    sum += v * v;
  }
  let scale = inverseSqrt(block_sum(wide_sum(sum), lane) / f32(DIM) + EPS);

  for (var i = lane.thread; i < SIZE; i += WORKGROUP) {
    y[row + i] = x[row + i] * scale * weight[i];
  }
}
