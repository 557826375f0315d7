// matmul_tile: y[r, n] = activate(SCALE * sum_k x[r, k] * weight[n, k] + bias[n]) + residual[r, n]
//
//   x [rows, K] f32      weight [N, K], K = 4 * BLOCK4 * ROW_BLOCKS      bias [N_TOTAL] f32
//   residual, y [rows, N_TOTAL] f32; GATED: y [rows, N / 2], see lib/quad_store.wgsl
//   PARTS > 1: y [PARTS, ROWS, N] f32, sums of parts of k for matmul_combine
//   grid  (ACROSS, rows / (4 * ROW_QUADS), N / (4 * COLUMN_QUADS) / ACROSS, or PARTS); THREADS_X x THREADS_Y threads
//         compute a tile of y, each 4 * HIGH rows and WIDE quads of columns
//
// Slabs of 4 * SLAB4 k are staged in workgroup memory, the weight as f32, while the next slab is on its way to registers.
// A thread loads four k of four rows of one operand and turns them, so that rows are neighbours in memory: an inner step
// reads HIGH + WIDE vec4s for 16 * HIGH * WIDE products. The turned quads of a slab lie in another order for every four k,
// which spreads what neighbouring threads write over the memory banks.

// Specialized by src/kernels/matmul_tile.ts. The weight holds rows N_FIRST .. N_FIRST + N of the whole matrix, x at most ROWS rows.
const ROW_BLOCKS: u32 = 6u;
const N: u32 = 6u;
const N_FIRST: u32 = 0u;
const N_TOTAL: u32 = 6u;
const ROWS: u32 = 40u;
const ROW_COUNT: u32 = 0u;
const ACROSS: u32 = 2u;
const PARTS: u32 = 1u;
const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
const HIGH: u32 = 2u;
const WIDE: u32 = 1u;
const SLAB4: u32 = 4u;
const SCALE: f32 = 1.0;
const HAS_BIAS: bool = true;
const HAS_ACTIVATION: bool = false;
const ACTIVATION: u32 = 0u;
const HAS_RESIDUAL: bool = true;
const GATED: bool = false;

//!include BLOCK lib/block_f32.wgsl
//!include lib/block_scale.wgsl
//!include lib/counts.wgsl
//!include lib/quad_store.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Block>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> counts: Counts;

const K4: u32 = ROW_BLOCKS * BLOCK4;
const SLABS: u32 = (K4 + SLAB4 - 1u) / SLAB4;
const PART_SLABS: u32 = (SLABS + PARTS - 1u) / PARTS;
const ROW_QUADS: u32 = THREADS_Y * HIGH;
const COLUMN_QUADS: u32 = THREADS_X * WIDE;
const SLAB: u32 = 4u * SLAB4;

var<workgroup> x_slab: array<vec4f, SLAB * ROW_QUADS>;
var<workgroup> weight_slab: array<vec4f, SLAB * COLUMN_QUADS>;

// Four k of four rows, as loaded.
struct Unit {
  stored: array<vec4u, 4>,
  scales: vec4f,
}

// The part of every slab that a thread stages. There are at most as many as threads.
struct Duty {
  // 0: of x, 1: of the weight, 2: none
  operand: u32,
  quad: u32,
  k4: u32,
  // Starts of the four rows.
  at: vec4u,
}

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first_row = group.y * 4u * ROW_QUADS;
  let first_quad = (select(group.z, 0u, PARTS > 1u) * ACROSS + group.x) * COLUMN_QUADS;
  let split = select(0u, group.z, PARTS > 1u);
  let first_slab = split * PART_SLABS;
  let end_slab = min(first_slab + PART_SLABS, SLABS);
  let duty = duty_of(thread, first_row, first_quad);

  var sums: array<vec4f, 4u * HIGH * WIDE>;
  var unit = load(duty, first_slab);
  for (var slab = first_slab; slab < end_slab; slab++) {
    workgroupBarrier();
    stage(duty, slab, unit);
    workgroupBarrier();
    unit = load(duty, slab + 1u);

    for (var k = 0u; k < SLAB; k++) {
      let turn = order(k / 4u);
      var columns: array<vec4f, WIDE>;
      for (var j = 0u; j < WIDE; j++) {
        columns[j] = weight_slab[k * COLUMN_QUADS + ((j * THREADS_X + local.x) ^ turn)];
      }
      for (var i = 0u; i < HIGH; i++) {
        let v = x_slab[k * ROW_QUADS + ((i * THREADS_Y + local.y) ^ turn)];
        for (var j = 0u; j < WIDE; j++) {
          let s = 4u * (i * WIDE + j);
          sums[s] += v.x * columns[j];
          sums[s + 1u] += v.y * columns[j];
          sums[s + 2u] += v.z * columns[j];
          sums[s + 3u] += v.w * columns[j];
        }
      }
    }
  }

  // A copy may be indexed by a loop that is not unrolled.
  var ends = sums;
  let rows = count(ROW_COUNT);
  for (var i = 0u; i < HIGH; i++) {
    let quad_row = first_row + 4u * (i * THREADS_Y + local.y);
    let end_row = min(quad_row + 4u, rows);
    for (var row = quad_row; row < end_row; row++) {
      for (var j = 0u; j < WIDE; j++) {
        let quad = first_quad + j * THREADS_X + local.x;
        let end = ends[4u * (i * WIDE + j) + row - quad_row];
        for (var c = 0u; c < QUAD_OUTPUTS; c++) {
          if (PARTS == 1u) {
            store_quad(row, quad, c, end[c], end[(c + 2u) % 4u]);
          } else if (4u * quad + c < N) {
            y[(split * ROWS + row) * N + 4u * quad + c] = end[c];
          }
        }
      }
    }
  }
}

fn duty_of(thread: u32, first_row: u32, first_quad: u32) -> Duty {
  let k4 = thread % SLAB4;
  let quad = thread / SLAB4;
  if (quad < ROW_QUADS) {
    // Past the edge the last row is repeated, and not stored.
    let rows = min(first_row + 4u * quad + vec4u(0u, 1u, 2u, 3u), vec4u(ROWS - 1u));
    return Duty(0u, quad, k4, rows * K4);
  }
  let column = quad - ROW_QUADS;
  return Duty(select(2u, 1u, column < COLUMN_QUADS), column, k4, quad_rows(first_quad + column) * ROW_BLOCKS);
}

// Past the end of the rows the last four k are repeated.
fn load(duty: Duty, slab: u32) -> Unit {
  var unit: Unit;
  let k4 = min(slab * SLAB4 + duty.k4, K4 - 1u);
  if (duty.operand == 0u) {
    for (var i = 0u; i < 4u; i++) {
      unit.stored[i] = bitcast<vec4u>(x[duty.at[i] + k4]);
    }
  } else if (duty.operand == 1u) {
    for (var i = 0u; i < 4u; i++) {
      let block = duty.at[i] + k4 / BLOCK4;
      unit.stored[i] = bitcast<vec4u>(weight[block]);
      unit.scales[i] = block_scale(block);
    }
  }
  return unit;
}

fn stage(duty: Duty, slab: u32, unit: Unit) {
  let k4 = slab * SLAB4 + duty.k4;
  let quad = duty.quad ^ order(duty.k4);
  if (duty.operand == 0u) {
    // Zeros past the end of the rows, whatever the weight has there.
    let end = select(0.0, 1.0, k4 < K4);
    let values = transpose(mat4x4f(
      bitcast<vec4f>(unit.stored[0]),
      bitcast<vec4f>(unit.stored[1]),
      bitcast<vec4f>(unit.stored[2]),
      bitcast<vec4f>(unit.stored[3]),
    ));
    for (var i = 0u; i < 4u; i++) {
      x_slab[(4u * duty.k4 + i) * ROW_QUADS + quad] = end * values[i];
    }
  } else if (duty.operand == 1u) {
    let part = min(k4, K4 - 1u) % BLOCK4;
    let values = transpose(mat4x4f(
      unit.scales.x * block4(bitcast<Block>(unit.stored[0]), part),
      unit.scales.y * block4(bitcast<Block>(unit.stored[1]), part),
      unit.scales.z * block4(bitcast<Block>(unit.stored[2]), part),
      unit.scales.w * block4(bitcast<Block>(unit.stored[3]), part),
    ));
    for (var i = 0u; i < 4u; i++) {
      weight_slab[(4u * duty.k4 + i) * COLUMN_QUADS + quad] = values[i];
    }
  }
}

// What the numbers of quads are combined with; there are always a multiple of 8 of them.
fn order(k4: u32) -> u32 {
  return 2u * k4 % 8u;
}
