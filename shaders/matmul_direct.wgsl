// matmul_direct: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (N / (WORKGROUP * COLS), rows / ROWS); a thread computes ROWS x COLS elements of y
//
// No workgroup memory and no barriers: for devices that run the threads of a workgroup one after another.

// Specialized by src/kernels/matmul.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const ROW_BLOCKS: u32 = 6u;
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

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include lib/counts.wgsl
//!include lib/matmul_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Block>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_n = (group.x * WORKGROUP + thread) * COLS;
  let first_row = group.y * ROWS;
  let rows = min(ROWS, count(ROW_COUNT) - first_row);

  var sums: array<array<f32, COLS>, ROWS>;
  for (var b = 0u; b < ROW_BLOCKS; b++) {
    for (var j = 0u; j < COLS; j++) {
      let at = min(first_n + j, N - 1u) * ROW_BLOCKS + b;
      let block = weight[at];
      let scale = block_scale(at);
      for (var i = 0u; i < BLOCK4; i++) {
        let w = scale * block4(block, i);
        for (var r = 0u; r < rows; r++) {
          sums[r][j] += dot(x[((first_row + r) * ROW_BLOCKS + b) * BLOCK4 + i], w);
        }
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
