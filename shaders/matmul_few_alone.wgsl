// matmul_few_alone: y[r, n] = activate(SCALE * sum_k norm(x)[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [ROWS, K] f32      norm_weight [K] f32      weight [N, K] 8- or 4-bit integers, K = 4 * BLOCK4 * ROW_BLOCKS
//   bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32; GATED: y [rows, N / 2], see lib/quad_store.wgsl
//   grid  (ACROSS, rows / TILE, N / 4 / WORKGROUP / ACROSS)
//
// A thread computes four columns of TILE rows, for devices on which a load costs the same whether neighbouring threads read
// neighbouring words or not: lavapipe. There are no barriers; the elements of x are handed round a subgroup.

// Specialized by src/kernels/matmul_few.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix. TILE is 1 or 4.
const ROW_BLOCKS: u32 = 18u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 2u;
const ROW_COUNT: u32 = 0u;
const TILE: u32 = 4u;
const ACROSS: u32 = 2u;
const HAS_NORM: bool = true;
const EPSILON: f32 = 1e-6;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const GATED: bool = false;
const WORKGROUP: u32 = 8u;

//!include BLOCK lib/block_q4.wgsl
//!include lib/block_scale.wgsl
//!include SPREAD lib/spread_load.wgsl
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

const ROW_GROUPS: u32 = ROW_BLOCKS / GROUP_BLOCKS;
const ROW4: u32 = ROW_BLOCKS * BLOCK4;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let first_row = group.y * TILE;
  let quad = (group.z * ACROSS + group.x) * WORKGROUP + lane.thread;
  let at = quad_rows(quad) * ROW_BLOCKS;

  // Of every row of x: the sums of a column, and the sum of squares.
  var sums: array<vec4f, 4>;
  var squares: vec4f;
  for (var g = 0u; g < ROW_GROUPS; g++) {
    // All loads first: what is live while lavapipe gathers is spilled again and again.
    let b = g * GROUP_BLOCKS;
    let group0 = load_group(at.x + b);
    let group1 = load_group(at.y + b);
    let group2 = load_group(at.z + b);
    let group3 = load_group(at.w + b);
    var own: array<Own, TILE>;
    for (var r = 0u; r < TILE; r++) {
      own[r] = load_own(x_row(first_row + r), g * 8u, lane);
    }

    var v = array<array<vec4f, 8>, TILE>();
    var offset = vec4f();
    for (var r = 0u; r < TILE; r++) {
      if (HAS_NORM) {
        squares[r] += own_squares(own[r], lane);
      }
      v[r] = spread(own[r], g * 8u, lane);
      offset[r] = DIGIT_OFFSET * sum_of(&v[r]);
    }
    sums[0] += multiply_group(group0, offset, &v);
    sums[1] += multiply_group(group1, offset, &v);
    sums[2] += multiply_group(group2, offset, &v);
    sums[3] += multiply_group(group3, offset, &v);
  }
  let rows = count(ROW_COUNT);
  let factors = norm_factors(squares);
  for (var r = 0u; r < TILE && first_row + r < rows; r++) {
    let totals = factors[r] * vec4f(sums[0][r], sums[1][r], sums[2][r], sums[3][r]);
    for (var i = 0u; i < QUAD_OUTPUTS; i++) {
      store_quad(first_row + r, quad, i, totals[i], totals[(i + 2u) % 4u]);
    }
  }
}

// Where a row of x starts.
fn x_row(row: u32) -> u32 {
  return min(row, ROWS - 1u) * ROW4;
}

fn norm_factors(squares: vec4f) -> vec4f {
  if (HAS_NORM) {
    return inverseSqrt(all_squares(squares) / f32(4u * ROW4) + EPSILON);
  }
  return vec4f(1.0);
}

fn sum_of(v: ptr<function, array<vec4f, 8>>) -> f32 {
  var sum = (*v)[0];
  for (var i = 1u; i < 8u; i++) {
    sum += (*v)[i];
  }
  return dot(sum, vec4f(1.0));
}

struct Group {
  blocks: array<Block, GROUP_BLOCKS>,
  scale: f32,
}

fn load_group(first: u32) -> Group {
  var stored: Group;
  for (var i = 0u; i < GROUP_BLOCKS; i++) {
    stored.blocks[i] = weight[first + i];
  }
  stored.scale = block_scale(first);
  return stored;
}

// The products of a column's group with every row of x.
fn multiply_group(
  stored: Group,
  offset: vec4f,
  v: ptr<function, array<array<vec4f, 8>, TILE>>,
) -> vec4f {
  var sum = -offset;
  for (var i = 0u; i < 8u; i++) {
    let w = digit4(stored.blocks[i / BLOCK4], i % BLOCK4);
    sum.x += dot(w, (*v)[0][i]);
    if (TILE > 1u) {
      sum.y += dot(w, (*v)[1u % TILE][i]);
      sum.z += dot(w, (*v)[2u % TILE][i]);
      sum.w += dot(w, (*v)[3u % TILE][i]);
    }
  }
  return stored.scale * sum;
}
