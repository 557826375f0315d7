// matmul_tile_matrix: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS      bias [N_TOTAL] f32      residual, y [rows, N_TOTAL] f32
//   grid  (ACROSS, rows / 64, N / 64 / ACROSS); four subgroups compute a 64 x 64 tile of y, 32 x 32 each
//
// Products of subgroup matrices, f32 in and out. Both operands are staged in workgroup memory, as are the results:
// subgroups cannot store part of a matrix.

// Specialized by src/kernels/matmul_tile.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix, x at most ROWS rows.
// SIZE_M, SIZE_N and SIZE_K are a configuration of the adapter and divide 32, 32 and 4 * SLAB4.
const ROW_BLOCKS: u32 = 6u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 40u;
const ROW_COUNT: u32 = 0u;
const ACROSS: u32 = 2u;
const SUBGROUP: u32 = 32u;
const SIZE_M: u32 = 8u;
const SIZE_N: u32 = 8u;
const SIZE_K: u32 = 8u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;

//!enable subgroups
//!enable chromium_experimental_subgroup_matrix
//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include lib/counts.wgsl
//!include lib/matmul_store.wgsl

const K4: u32 = ROW_BLOCKS * BLOCK4;
const SIDE: u32 = 64u;
const SLAB4: u32 = 4u;
const SLAB: u32 = 4u * SLAB4;
const THREADS: u32 = 4u * SUBGROUP;
const HIGH: u32 = 32u / SIZE_M;
const WIDE: u32 = 32u / SIZE_N;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Block>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

var<workgroup> x_slab: array<vec4f, SIDE * SLAB4>;
var<workgroup> weight_slab: array<vec4f, SIDE * SLAB4>;
var<workgroup> ends: array<f32, 4u * SIZE_M * SIZE_N>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let rows = count(ROW_COUNT);
  let first_row = group.y * SIDE;
  let first_n = (group.z * ACROSS + group.x) * SIDE;
  let row_part = 32u * (subgroup / 2u);
  let n_part = 32u * (subgroup % 2u);

  var sums: array<array<subgroup_matrix_result<f32, SIZE_N, SIZE_M>, WIDE>, HIGH>;
  for (var slab = 0u; slab < K4; slab += SLAB4) {
    workgroupBarrier();
    for (var i = thread; i < SIDE * SLAB4; i += THREADS) {
      let k4 = slab + i % SLAB4;
      let at = min(k4, K4 - 1u);
      // Past the edge the last row is repeated, and not stored; zeros past the end of the rows.
      let row = min(first_row + i / SLAB4, ROWS - 1u);
      x_slab[i] = x[row * K4 + at] * select(0.0, 1.0, k4 < K4);
      let block = min(first_n + i / SLAB4, N - 1u) * ROW_BLOCKS + at / BLOCK4;
      weight_slab[i] = block_scale(block) * block4(weight[block], at % BLOCK4);
    }
    workgroupBarrier();
    for (var k = 0u; k < SLAB; k += SIZE_K) {
      var columns: array<subgroup_matrix_right<f32, SIZE_N, SIZE_K>, WIDE>;
      for (var j = 0u; j < WIDE; j++) {
        columns[j] = subgroupMatrixLoad<subgroup_matrix_right<f32, SIZE_N, SIZE_K>, col_major>(
          &weight_slab, (n_part + j * SIZE_N) * SLAB + k, SLAB);
      }
      for (var i = 0u; i < HIGH; i++) {
        let v = subgroupMatrixLoad<subgroup_matrix_left<f32, SIZE_K, SIZE_M>, row_major>(
          &x_slab, (row_part + i * SIZE_M) * SLAB + k, SLAB);
        for (var j = 0u; j < WIDE; j++) {
          sums[i][j] = subgroupMatrixMultiplyAccumulate(v, columns[j], sums[i][j]);
        }
      }
    }
  }

  for (var i = 0u; i < HIGH; i++) {
    for (var j = 0u; j < WIDE; j++) {
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&ends, subgroup * SIZE_M * SIZE_N, sums[i][j], SIZE_N);
      workgroupBarrier();
      for (var e = lane; e < SIZE_M * SIZE_N; e += SUBGROUP) {
        let row = first_row + row_part + i * SIZE_M + e / SIZE_N;
        let n = first_n + n_part + j * SIZE_N + e % SIZE_N;
        if (row < rows && n < N) {
          store(row, n, ends[subgroup * SIZE_M * SIZE_N + e]);
        }
      }
    }
  }
}
