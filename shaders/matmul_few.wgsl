// matmul_few: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n] for at most ROWS rows
//
//   x [ROWS, 4 * K4] f32      weight [N, 4 * K4]      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (ACROSS, 1, N / 4 / ACROSS), empty without rows; a workgroup computes four columns of y for every row, so
//         the weight is read once
//
// Threads share out k; each holds ROWS x 4 sums, and the workgroup adds them up at the end.

// Specialized by src/kernels/matmul.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const K4: u32 = 16u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 2u;
const ROW_COUNT: u32 = 0u;
const ACROSS: u32 = 2u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl
//!include REDUCE lib/reduce_tree.wgsl
//!include lib/counts.wgsl
//!include lib/matmul_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Weight4>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let first = (group.z * ACROSS + group.x) * 4u;
  let row0 = min(first, N - 1u) * K4;
  let row1 = min(first + 1u, N - 1u) * K4;
  let row2 = min(first + 2u, N - 1u) * K4;
  let row3 = min(first + 3u, N - 1u) * K4;

  var sums: array<vec4f, ROWS>;
  for (var k = lane.thread; k < K4; k += WORKGROUP) {
    let w0 = weight4(weight[row0 + k]);
    let w1 = weight4(weight[row1 + k]);
    let w2 = weight4(weight[row2 + k]);
    let w3 = weight4(weight[row3 + k]);
    for (var r = 0u; r < ROWS; r++) {
      let v = x[r * K4 + k];
      sums[r] += vec4f(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
    }
  }

  let rows = count(ROW_COUNT);
  let n = first + lane.thread;
  for (var r = 0u; r < ROWS; r++) {
    let total = block_sum4(sums[r], lane);
    if (lane.thread < 4u && n < N && r < rows) {
      store(r, n, total[lane.thread]);
    }
  }
}
