// matmul_direct: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, 4 * K4] f32      weight [N, 4 * K4]      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (N / (WORKGROUP * COLS), rows / ROWS); a thread computes ROWS x COLS elements of y
//
// No workgroup memory and no barriers: for devices that run the threads of a workgroup one after another.

// Specialized by src/kernels/matmul.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const K4: u32 = 6u;
const N: u32 = 5u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 5u;
const ROWS: u32 = 4u;
const COLS: u32 = 4u;
const ROW_COUNT: u32 = 0u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 16u;

//!include WEIGHT lib/weight_f32.wgsl
//!include lib/counts.wgsl
//!include lib/matmul_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Weight4>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_n = (group.x * WORKGROUP + thread) * COLS;
  let first_row = group.y * ROWS;
  let rows = min(ROWS, count(ROW_COUNT) - first_row);

  var sums: array<array<f32, COLS>, ROWS>;
  for (var k = 0u; k < K4; k++) {
    var v: array<vec4f, ROWS>;
    for (var r = 0u; r < rows; r++) {
      v[r] = x[(first_row + r) * K4 + k];
    }
    for (var j = 0u; j < COLS; j++) {
      let w = weight4(weight[min(first_n + j, N - 1u) * K4 + k]);
      for (var r = 0u; r < rows; r++) {
        sums[r][j] += dot(v[r], w);
      }
    }
  }

  for (var r = 0u; r < rows; r++) {
    for (var j = 0u; j < COLS; j++) {
      let n = first_n + j;
      if (n < N) {
        store(first_row + r, n, sums[r][j]);
      }
    }
  }
}
