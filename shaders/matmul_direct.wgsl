// matmul_direct: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS      bias [N_TOTAL] f32
//   residual, y [rows, N_TOTAL] f32; GATED: y [rows, N / 2], see lib/quad_store.wgsl
//   grid  (ACROSS, rows / BUNDLE / BUNDLES, N / 4 / WORKGROUP / ACROSS); a thread computes four columns of BUNDLES * BUNDLE
//         rows
//
// No workgroup memory and no barriers: for devices that run the threads of a workgroup one after another, and for those
// whose threads are lanes of a CPU's vector registers. There a load costs as much as one per lane even if all want the
// same, so that it pays to have every thread load what no other does and hand the rows round: lib/rows_subgroup.wgsl.

// Specialized by src/kernels/matmul_tile.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix, x at most ROWS rows.
const ROW_BLOCKS: u32 = 6u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 40u;
const ROW_COUNT: u32 = 0u;
const ACROSS: u32 = 2u;
const BUNDLE: u32 = 8u;
const BUNDLES: u32 = 2u;
const WORKGROUP: u32 = 16u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const GATED: bool = false;

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include ROWS_LIBRARY lib/rows_load.wgsl
//!include lib/counts.wgsl
//!include lib/quad_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Block>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

// vec4s of a row.
const ROW4: u32 = ROW_BLOCKS * BLOCK4;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let quad = (group.z * ACROSS + group.x) * WORKGROUP + lane.thread;
  let at = quad_rows(quad) * ROW_BLOCKS;
  let first_row = group.y * BUNDLES * BUNDLE;

  var sums0: array<vec4f, BUNDLE>;
  var sums1: array<vec4f, BUNDLE>;
  for (var b = 0u; b < ROW_BLOCKS; b++) {
    let block0 = weight[at.x + b];
    let block1 = weight[at.y + b];
    let block2 = weight[at.z + b];
    let block3 = weight[at.w + b];
    let scale0 = block_scale(at.x + b);
    let scale1 = block_scale(at.y + b);
    let scale2 = block_scale(at.z + b);
    let scale3 = block_scale(at.w + b);
    for (var i = 0u; i < BLOCK4; i++) {
      let w = mat4x4f(
        scale0 * block4(block0, i),
        scale1 * block4(block1, i),
        scale2 * block4(block2, i),
        scale3 * block4(block3, i),
      );
      let k = b * BLOCK4 + i;
      add_rows(&sums0, first_row, k, w, lane);
      if (BUNDLES > 1u) {
        add_rows(&sums1, first_row + BUNDLE, k, w, lane);
      }
    }
  }

  // A copy may be indexed by a loop that is not unrolled.
  var ends: array<vec4f, BUNDLES * BUNDLE>;
  for (var r = 0u; r < BUNDLE; r++) {
    ends[r] = sums0[r];
    if (BUNDLES > 1u) {
      ends[(BUNDLES - 1u) * BUNDLE + r] = sums1[r];
    }
  }
  let end_row = min(first_row + BUNDLES * BUNDLE, count(ROW_COUNT));
  for (var row = first_row; row < end_row; row++) {
    let end = ends[row - first_row];
    for (var c = 0u; c < QUAD_OUTPUTS; c++) {
      store_quad(row, quad, c, end[c], end[(c + 2u) % 4u]);
    }
  }
}
