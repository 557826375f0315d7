// matmul_plain: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, K] f32      weight [N, K]      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (N / WORKGROUP, rows); one thread per element of y
//
// The readable kernel: oracle of the others, and the path for rows of weight that are no whole blocks.

// Specialized by src/kernels/matmul_plain.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const K: u32 = 6u;
const N: u32 = 5u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 5u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl
//!include lib/matmul_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<Weight1>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = group.x * WORKGROUP + thread;
  if (n >= N) {
    return;
  }
  var sum = 0.0;
  for (var k = 0u; k < K; k++) {
    let element = n * K + k;
    let w = weight_scale(element) * weight1(weight[element / WEIGHT1_ELEMENTS], element);
    sum += x[group.y * K + k] * w;
  }
  store(group.y, n, sum);
}
