// matmul_few: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n] for at most ROWS rows
//
//   x [ROWS, K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (ACROSS, 1, N / 4 / ACROSS), empty without rows; a workgroup computes four columns of y for every row, so
//         the weight is read once
//
// Threads share out k; each holds ROWS x 4 sums, and the workgroup adds them up at the end.

// Specialized by src/kernels/matmul.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const ROW_BLOCKS: u32 = 16u;
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

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include REDUCE lib/reduce_tree.wgsl
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
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let first = (group.z * ACROSS + group.x) * 4u;
  let at = min(vec4u(first, first + 1u, first + 2u, first + 3u), vec4u(N - 1u)) * ROW_BLOCKS;

  var sums: array<vec4f, ROWS>;
  for (var b = lane.thread; b < ROW_BLOCKS; b += WORKGROUP) {
    let blocks = array(weight[at.x + b], weight[at.y + b], weight[at.z + b], weight[at.w + b]);
    let scale = vec4f(
      block_scale(at.x + b),
      block_scale(at.y + b),
      block_scale(at.z + b),
      block_scale(at.w + b),
    );
    for (var i = 0u; i < BLOCK4; i++) {
      let w0 = block4(blocks[0], i);
      let w1 = block4(blocks[1], i);
      let w2 = block4(blocks[2], i);
      let w3 = block4(blocks[3], i);
      for (var r = 0u; r < ROWS; r++) {
        let v = x[(r * ROW_BLOCKS + b) * BLOCK4 + i];
        sums[r] += scale * vec4f(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
      }
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
