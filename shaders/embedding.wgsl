// embedding: y[t, :] = table[token(t), :]
//
//   tokens       [rows] u32: a token id, or LAST_TOKEN | slot for the id sampled last in that slot
//   last_tokens  [slots] u32, written by the sampler
//   table        [TABLE_ROWS, DIM], the rows from FIRST_ROW on of the whole table
//   y            [rows, DIM] f32; rows whose id lies in another part of the table are left alone
//   grid         one workgroup per token

// Specialized by src/kernels/embedding.ts.
const DIM: u32 = 64u;
const FIRST_ROW: u32 = 0u;
const TABLE_ROWS: u32 = 96u;
const WORKGROUP: u32 = 64u;

//!include WEIGHT lib/weight_f32.wgsl

const LAST_TOKEN: u32 = 0x80000000u;

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> last_tokens: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<Weight1>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  var token = tokens[group.x];
  if ((token & LAST_TOKEN) != 0u) {
    token = last_tokens[token & ~LAST_TOKEN];
  }
  if (token < FIRST_ROW || token - FIRST_ROW >= TABLE_ROWS) {
    return;
  }
  let row = (token - FIRST_ROW) * DIM;
  for (var i = thread; i < DIM; i += WORKGROUP) {
    let element = row + i;
    y[group.x * DIM + i] = weight1(table[element / WEIGHT1_ELEMENTS], element);
  }
}
