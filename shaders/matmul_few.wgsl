// matmul_few: y[r, n] = activate(SCALE * sum_k norm(x)[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [ROWS, K] f32      norm_weight [K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS
//   bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32; GATED: y [rows, N / 2], see lib/quad_store.wgsl
//   grid  (ACROSS, rows / TILE, N / (4 * QUADS) / (WORKGROUP / LANES) / ACROSS)
//
// LANES threads share out k for QUADS times four columns of TILE rows: each loads 16 bytes of every row of the weight at a
// time, and their sums are added up at the end. The root mean square of x comes out of the same loop.

// Specialized by src/kernels/matmul_few.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const ROW_BLOCKS: u32 = 16u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 2u;
const ROW_COUNT: u32 = 0u;
const TILE: u32 = 2u;
const ACROSS: u32 = 2u;
const HAS_NORM: bool = true;
const EPSILON: f32 = 1e-6;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const GATED: bool = false;
const WORKGROUP: u32 = 64u;
const LANES: u32 = 16u;
const QUADS: u32 = 1u;

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include SEGMENT lib/segment_memory.wgsl
//!include lib/counts.wgsl
//!include lib/quad_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Block>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> counts: Counts;

const K: f32 = f32(4u * BLOCK4 * ROW_BLOCKS);
const TILE4: u32 = (TILE + 3u) / 4u;
// Sums of every row, then squares of four rows each.
const SEGMENT_SLOTS: u32 = TILE * QUADS + select(0u, TILE4, HAS_NORM);

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let first_row = group.y * TILE;
  let rows = min(count(ROW_COUNT) - first_row, TILE);
  let first = ((group.z * ACROSS + group.x) * (WORKGROUP / LANES) + segment(lane)) * QUADS;
  var at: array<vec4u, QUADS>;
  for (var q = 0u; q < QUADS; q++) {
    at[q] = quad_rows(first + q) * ROW_BLOCKS;
  }

  var sums: array<array<vec4f, QUADS>, TILE>;
  var squares: array<vec4f, TILE4>;
  for (var b = in_segment(lane); b < ROW_BLOCKS; b += LANES) {
    var blocks: array<array<Block, 4>, QUADS>;
    for (var q = 0u; q < QUADS; q++) {
      blocks[q] = array(
        weight[at[q].x + b],
        weight[at[q].y + b],
        weight[at[q].z + b],
        weight[at[q].w + b],
      );
    }
    var parts = array<array<vec4f, QUADS>, TILE>();
    for (var i = 0u; i < BLOCK4; i++) {
      var v = array<vec4f, TILE>();
      for (var r = 0u; r < TILE; r++) {
        if (TILE <= 4u || r < rows) {
          v[r] = x[(min(first_row + r, ROWS - 1u) * ROW_BLOCKS + b) * BLOCK4 + i];
        }
      }
      if (HAS_NORM) {
        let gamma = norm_weight[b * BLOCK4 + i];
        for (var r = 0u; r < TILE; r++) {
          squares[r / 4u][r % 4u] += dot(v[r], v[r]);
          v[r] *= gamma;
        }
      }
      for (var q = 0u; q < QUADS; q++) {
        let w0 = digit4(blocks[q][0], i);
        let w1 = digit4(blocks[q][1], i);
        let w2 = digit4(blocks[q][2], i);
        let w3 = digit4(blocks[q][3], i);
        for (var r = 0u; r < TILE; r++) {
          if (TILE <= 4u || r < rows) {
            let products = vec4f(dot(v[r], w0), dot(v[r], w1), dot(v[r], w2), dot(v[r], w3));
            parts[r][q] += products - DIGIT_OFFSET * dot(v[r], vec4f(1.0));
          }
        }
      }
    }
    for (var q = 0u; q < QUADS; q++) {
      let scale = vec4f(
        block_scale(at[q].x + b),
        block_scale(at[q].y + b),
        block_scale(at[q].z + b),
        block_scale(at[q].w + b),
      );
      for (var r = 0u; r < TILE; r++) {
        sums[r][q] += scale * parts[r][q];
      }
    }
  }

  for (var r = 0u; r < TILE; r++) {
    for (var q = 0u; q < QUADS; q++) {
      segment_put(r * QUADS + q, sums[r][q], lane);
    }
  }
  if (HAS_NORM) {
    for (var i = 0u; i < TILE4; i++) {
      segment_put(TILE * QUADS + i, squares[i], lane);
    }
  }
  workgroupBarrier();
  for (var i = in_segment(lane); i < rows * QUADS * QUAD_OUTPUTS; i += LANES) {
    let slot = i / QUAD_OUTPUTS;
    let c = i % QUAD_OUTPUTS;
    let r = slot / QUADS;
    var factor = 1.0;
    if (HAS_NORM) {
      factor = inverseSqrt(segment_total(TILE * QUADS + r / 4u, r % 4u, lane) / K + EPSILON);
    }
    var up = 0.0;
    if (GATED) {
      up = factor * segment_total(slot, c + 2u, lane);
    }
    store_quad(first_row + r, first + slot % QUADS, c, factor * segment_total(slot, c, lane), up);
  }
}
