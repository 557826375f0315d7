// matmul_combine: y[r, n] = activate(SCALE * sum_s parts[s, r, n] + bias[n]) + residual[r, n]
//
//   parts [PARTS, ROWS, N] f32      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (N / WORKGROUP, rows); one thread per element of y
//
// The end of a multiplication whose k was split between workgroups, so that there are enough of them.

// Specialized by src/kernels/matmul_tile.ts. The parts are of columns N_FIRST .. N_FIRST + N.
const N: u32 = 5u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 5u;
const ROWS: u32 = 40u;
const PARTS: u32 = 4u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const WORKGROUP: u32 = 64u;

//!include lib/matmul_store.wgsl

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = group.x * WORKGROUP + thread;
  if (n >= N) {
    return;
  }
  var sum = 0.0;
  for (var split = 0u; split < PARTS; split++) {
    sum += parts[(split * ROWS + group.y) * N + n];
  }
  store(group.y, n, sum);
}
