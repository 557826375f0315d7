// embedding: y[t, :] = SCALE * table[token(t), :] (+ add[t, :])
//
//   tokens       [rows] u32: a token id, or LAST_TOKEN | slot for the id sampled last in that slot
//   last_tokens  [slots] u32, written by the sampler
//   table        [TABLE_ROWS, DIM], the rows from FIRST_ROW on of the whole table
//   add          [rows, DIM] f32
//   y            [rows, DIM] f32; rows whose id lies in another part of the table are left alone
//   grid         one workgroup per token

// Specialized by src/kernels/embedding.ts.
const DIM: u32 = 64u;
const FIRST_ROW: u32 = 0u;
const TABLE_ROWS: u32 = 96u;
const SCALE: f32 = 1.0;
const HAS_ADD: bool = true;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl
//!include lib/token.wgsl

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> last_tokens: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<Weight1>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> add: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let token = token_of(group.x);
  if (token < FIRST_ROW || token - FIRST_ROW >= TABLE_ROWS) {
    return;
  }
  let row = (token - FIRST_ROW) * DIM;
  for (var i = thread; i < DIM; i += WORKGROUP) {
    let element = row + i;
    var value = SCALE * weight_scale(element) * weight1(table[element / WEIGHT1_ELEMENTS], element);
    if (HAS_ADD) {
      value += add[group.x * DIM + i];
    }
    y[group.x * DIM + i] = value;
  }
}
