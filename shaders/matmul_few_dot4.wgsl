// matmul_few_dot4: y[r, n] = activate(SCALE * sum_k v[r, k] * weight[n, k] + bias[n]) + residual[r, n] for at most ROWS rows
//
//   v = groups.s * q: q u32 [ROWS, K / 4], four int8 to a word, groups f32 [ROWS, K / 32, 2], as quantize_rows.wgsl writes them
//   weight [N, K] 8- or 4-bit integers, K = WEIGHTS * ROW_BLOCKS      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32;
//   GATED: y [rows, N / 2], see lib/quad_store.wgsl
//   grid  (ACROSS, 1, N / 4 / (WORKGROUP / LANES) / ACROSS), empty without rows
//
// Work is shared as in matmul_few.wgsl; four products of integers are one instruction where the hardware has it.

// Specialized by src/kernels/matmul_few_dot4.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
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
const GATED: bool = false;
const WORKGROUP: u32 = 64u;
const LANES: u32 = 16u;

//!include BLOCK lib/block_q4.wgsl
//!include INTEGERS lib/integers_q4.wgsl
//!include lib/block_scale.wgsl
//!include SEGMENT lib/segment_memory.wgsl
//!include lib/counts.wgsl
//!include lib/quad_store.wgsl

@group(0) @binding(0) var<storage, read> q: array<vec4u>;
@group(0) @binding(1) var<storage, read> groups: array<vec2f>;
@group(0) @binding(2) var<storage, read> weight: array<Block>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> counts: Counts;

// Groups and 16-byte words of q in a row.
const ROW_GROUPS: u32 = ROW_BLOCKS / GROUP_BLOCKS;
const ROW_WORDS: u32 = 2u * ROW_GROUPS;
const SEGMENT_SLOTS: u32 = ROWS;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let rows = min(count(ROW_COUNT), ROWS);
  let quad = (group.z * ACROSS + group.x) * (WORKGROUP / LANES) + segment(lane);
  let at = quad_rows(quad) * ROW_BLOCKS;

  var sums: array<vec4f, ROWS>;
  for (var b = in_segment(lane); b < ROW_BLOCKS; b += LANES) {
    let block0 = weight[at.x + b];
    let block1 = weight[at.y + b];
    let block2 = weight[at.z + b];
    let block3 = weight[at.w + b];
    let scale = vec4f(
      block_scale(at.x + b),
      block_scale(at.y + b),
      block_scale(at.z + b),
      block_scale(at.w + b),
    );
    for (var r = 0u; r < ROWS; r++) {
      if (r < rows) {
        let v = integers(r * ROW_WORDS, b);
        let products = vec4i(
          dot_integers(block0, v),
          dot_integers(block1, v),
          dot_integers(block2, v),
          dot_integers(block3, v),
        );
        let x = groups[r * ROW_GROUPS + b / GROUP_BLOCKS];
        sums[r] += scale * (x.x * vec4f(products) - DIGIT_OFFSET * x.y);
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    segment_put(r, sums[r], lane);
  }
  workgroupBarrier();
  for (var i = in_segment(lane); i < rows * QUAD_OUTPUTS; i += LANES) {
    let r = i / QUAD_OUTPUTS;
    let c = i % QUAD_OUTPUTS;
    var up = 0.0;
    if (GATED) {
      up = segment_total(r, c + 2u, lane);
    }
    store_quad(r, quad, c, segment_total(r, c, lane), up);
  }
}
