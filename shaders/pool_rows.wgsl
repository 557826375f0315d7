// pool_rows: y[s, i] = mean_t(x[t, i]) over the rows t of sequence s
//
//   x [any, DIM] f32      sequences [S, 4] u32: first row, rows, ...      y [S, DIM] f32
//   grid  (DIM / COLUMNS, S)
//
// LANES threads take every LANES-th row of a column each, then one adds up their sums: an order that is the same
// wherever the rows lie.

// Specialized by src/kernels/pool_rows.ts.
const DIM: u32 = 64u;
const COLUMNS: u32 = 32u;

const LANES: u32 = 8u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, LANES * COLUMNS>;

@compute @workgroup_size(COLUMNS, LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = sequences[group.y].x;
  let rows = sequences[group.y].y;
  let column = group.x * COLUMNS + local.x;

  var sum = 0.0;
  if (column < DIM) {
    for (var t = local.y; t < rows; t += LANES) {
      sum += x[(first + t) * DIM + column];
    }
  }
  partial[thread] = sum;
  workgroupBarrier();

  if (local.y == 0u && column < DIM) {
    for (var lane = 1u; lane < LANES; lane++) {
      sum += partial[lane * COLUMNS + local.x];
    }
    y[group.y * DIM + column] = sum / f32(max(rows, 1u));
  }
}
