// matmul_tile: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, 4 * K4] f32      weight [N, 4 * K4]      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (N / 64, rows / 64); 16 x 16 threads compute a 64 x 64 tile of y, 4 x 4 elements each
//
// Slabs of 16 k are staged in workgroup memory. Both operands stay vec4 along k, so an inner step is 8 loads
// for 16 dot products and nothing is transposed. The slab's rows are 5 vec4 apart instead of 4, which spreads
// the rows that neighbouring threads read over the memory banks.

// Specialized by src/kernels/matmul.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix.
const K4: u32 = 6u;
const N: u32 = 5u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 5u;
const ROW_COUNT: u32 = 0u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include lib/counts.wgsl
//!include lib/matmul_store.wgsl

const SIDE: u32 = 16u;
const TILE: u32 = 64u;
const SLAB4: u32 = 4u;
const STRIDE: u32 = SLAB4 + 1u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Block>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

var<workgroup> x_slab: array<vec4f, TILE * STRIDE>;
var<workgroup> weight_slab: array<vec4f, TILE * STRIDE>;

@compute @workgroup_size(SIDE, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let rows = count(ROW_COUNT);
  let first_row = group.y * TILE;
  let first_n = group.x * TILE;

  // Each thread stages one vec4 of either operand; past the edge it repeats the last row, which is not stored.
  let load_k = thread % SLAB4;
  let load_row = thread / SLAB4;
  let x_row = min(first_row + load_row, rows - 1u) * K4;
  let weight_row = min(first_n + load_row, N - 1u) * (K4 / BLOCK4);
  let staged = load_row * STRIDE + load_k;

  var sums: array<vec4f, 4>;
  for (var slab = 0u; slab < K4; slab += SLAB4) {
    let k = slab + load_k;
    let inside = k < K4;
    let x_value = x[x_row + min(k, K4 - 1u)];
    let k_inside = min(k, K4 - 1u);
    let block = weight_row + k_inside / BLOCK4;
    let weight_value = block_scale(block) * block4(weight[block], k_inside % BLOCK4);
    workgroupBarrier();
    x_slab[staged] = select(vec4f(), x_value, inside);
    weight_slab[staged] = select(vec4f(), weight_value, inside);
    workgroupBarrier();

    for (var step = 0u; step < SLAB4; step++) {
      let w0 = weight_slab[local.x * STRIDE + step];
      let w1 = weight_slab[(local.x + SIDE) * STRIDE + step];
      let w2 = weight_slab[(local.x + 2u * SIDE) * STRIDE + step];
      let w3 = weight_slab[(local.x + 3u * SIDE) * STRIDE + step];
      for (var i = 0u; i < 4u; i++) {
        let v = x_slab[(local.y + i * SIDE) * STRIDE + step];
        sums[i] += vec4f(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
      }
    }
  }

  for (var i = 0u; i < 4u; i++) {
    let row = first_row + local.y + i * SIDE;
    for (var j = 0u; j < 4u; j++) {
      let n = first_n + local.x + j * SIDE;
      if (row < rows && n < N) {
        store(row, n, sums[i][j]);
      }
    }
  }
}
