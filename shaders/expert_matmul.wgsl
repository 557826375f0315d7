// expert_matmul: y[t, n] = row_scale[t] * activate(sum_k x[t, k] * weight[experts[t] * N + n, k]) + residual[t, n]
//
//   x [rows, K] f32      experts [rows] u32      row_scale [rows] f32      residual, y [rows, N] f32
//   weight [WEIGHT_ROWS, K], the rows from FIRST_ROW on of the experts' stacked matrices; elements of y whose row lies
//          in another part are left alone
//   grid   (N / WORKGROUP, experts, rows / BLOCK); a thread takes one row of the weight, and the tokens of a block that
//          chose its expert, four at a time

// Specialized by src/kernels/expert_matmul.ts.
const K: u32 = 6u;
const N: u32 = 5u;
const FIRST_ROW: u32 = 0u;
const WEIGHT_ROWS: u32 = 20u;
const BLOCK: u32 = 64u;
const ROW_COUNT: u32 = 0u;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_ROW_SCALE: bool = true;
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl
//!include lib/activation.wgsl
//!include lib/counts.wgsl

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<Weight1>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> experts: array<u32>;
@group(0) @binding(4) var<storage, read> row_scale: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> counts: Counts;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = group.x * WORKGROUP + thread;
  let stacked = group.y * N + n;
  if (n >= N || stacked < FIRST_ROW || stacked - FIRST_ROW >= WEIGHT_ROWS) {
    return;
  }
  let first = (stacked - FIRST_ROW) * K;

  let end = min((group.z + 1u) * BLOCK, count(ROW_COUNT));
  var next = group.z * BLOCK;
  while (next < end) {
    // Places that are not taken repeat row 0; their sums are not stored.
    var rows = vec4u();
    var taken = 0u;
    for (; next < end && taken < 4u; next++) {
      if (experts[next] == group.y) {
        rows[taken] = next;
        taken++;
      }
    }
    if (taken == 0u) {
      return;
    }
    let at = rows * K;
    var sums = vec4f();
    for (var k = 0u; k < K; k++) {
      let element = first + k;
      let w = weight_scale(element) * weight1(weight[element / WEIGHT1_ELEMENTS], element);
      sums += w * vec4f(x[at.x + k], x[at.y + k], x[at.z + k], x[at.w + k]);
    }
    for (var i = 0u; i < taken; i++) {
      store(rows[i], n, sums[i]);
    }
  }
}

fn store(row: u32, n: u32, sum: f32) {
  var value = sum;
  if (HAS_ACTIVATION) {
    value = activate(value);
  }
  if (HAS_ROW_SCALE) {
    value *= row_scale[row];
  }
  if (HAS_RESIDUAL) {
    value += residual[row * N + n];
  }
  y[row * N + n] = value;
}
