// position_embedding: y[t, :] = x[t, :] + table[row(t), :]
//                     row(t) = UNCOUNTED_ROW if token(t) is UNCOUNTED_ID, else position_ids[t] + OFFSET
//
//   x, y          [rows, DIM] f32; rows of y whose position lies in another part of the table are left alone
//   tokens        [rows] u32, see lib/token.wgsl      last_tokens  [slots] u32
//   position_ids  [rows] u32
//   table         [TABLE_ROWS, DIM], the rows from FIRST_ROW on of the whole table
//   grid          one workgroup per token

// Specialized by src/kernels/position_embedding.ts.
const DIM: u32 = 64u;
const FIRST_ROW: u32 = 0u;
const TABLE_ROWS: u32 = 96u;
const OFFSET: u32 = 2u;
const HAS_UNCOUNTED: bool = true;
const UNCOUNTED_ID: u32 = 1u;
const UNCOUNTED_ROW: u32 = 1u;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl
//!include lib/token.wgsl

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> last_tokens: array<u32>;
@group(0) @binding(3) var<storage, read> position_ids: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<Weight1>;
@group(0) @binding(5) var<storage, read> scales: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  var row = position_ids[group.x] + OFFSET;
  if (HAS_UNCOUNTED && token_of(group.x) == UNCOUNTED_ID) {
    row = UNCOUNTED_ROW;
  }
  if (row < FIRST_ROW || row - FIRST_ROW >= TABLE_ROWS) {
    return;
  }
  let first = (row - FIRST_ROW) * DIM;
  for (var i = thread; i < DIM; i += WORKGROUP) {
    let element = first + i;
    let out = group.x * DIM + i;
    y[out] = x[out] + weight_scale(element) * weight1(table[element / WEIGHT1_ELEMENTS], element);
  }
}
