// matmul_few_alone: y[n] = activate(SCALE * sum_k norm(x)[k] * weight[n, k] + bias[n]) + residual[n]
//
//   x [1, K] f32      norm_weight [K] f32      weight [N, K] 8- or 4-bit integers, K = 4 * BLOCK4 * ROW_BLOCKS
//   bias [N_TOTAL] f32      residual, y [1, N_TOTAL] f32; GATED: y [1, N / 2], see lib/quad_store.wgsl
//   grid  (ACROSS, 1, N / 4 / WORKGROUP / ACROSS)
//
// A thread computes four columns of the only row, for devices on which a load costs the same whether neighbouring threads read
// neighbouring words or not: lavapipe. There are no barriers; the elements of x are handed round a subgroup.

// Specialized by src/kernels/matmul_few.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const ROW_BLOCKS: u32 = 18u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
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
//!include lib/quad_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Block>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

const ROW_GROUPS: u32 = ROW_BLOCKS / GROUP_BLOCKS;
const ROW4: u32 = ROW_BLOCKS * BLOCK4;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let quad = (group.z * ACROSS + group.x) * WORKGROUP + lane.thread;
  let at = quad_rows(quad) * ROW_BLOCKS;

  var sums: vec4f;
  var squares: f32;
  for (var g = 0u; g < ROW_GROUPS; g++) {
    // All loads first: what is live while lavapipe gathers is spilled again and again.
    let b = g * GROUP_BLOCKS;
    let group0 = load_group(at.x + b);
    let group1 = load_group(at.y + b);
    let group2 = load_group(at.z + b);
    let group3 = load_group(at.w + b);
    let own = load_own(g * 8u, lane);

    if (HAS_NORM) {
      squares += own_squares(own, lane);
    }
    var v = spread(own, g * 8u, lane);
    let offset = DIGIT_OFFSET * sum_of(&v);
    sums += vec4f(
      multiply_group(group0, offset, &v),
      multiply_group(group1, offset, &v),
      multiply_group(group2, offset, &v),
      multiply_group(group3, offset, &v),
    );
  }
  let totals = norm_factor(squares) * sums;
  for (var i = 0u; i < QUAD_OUTPUTS; i++) {
    store_quad(0u, quad, i, totals[i], totals[(i + 2u) % 4u]);
  }
}

fn norm_factor(squares: f32) -> f32 {
  if (HAS_NORM) {
    return inverseSqrt(all_squares(squares) / f32(4u * ROW4) + EPSILON);
  }
  return 1.0;
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

// The products of a column's group with x.
fn multiply_group(stored: Group, offset: f32, v: ptr<function, array<vec4f, 8>>) -> f32 {
  var sum = -offset;
  for (var i = 0u; i < 8u; i++) {
    sum += dot(digit4(stored.blocks[i / BLOCK4], i % BLOCK4), (*v)[i]);
  }
  return stored.scale * sum;
}
