// unfold_rows: y[t, i * SIZE + k] = x[t + k - SIZE / 2, i], 0 where that row is not of t's sequence
//
//   x [T, DIM] f32      sequence_of [T] u32      sequences [S, 4] u32: first row, rows, ...
//   y [T, DIM * SIZE] f32
//   grid  one workgroup per row

// Specialized by src/kernels/unfold_rows.ts.
const DIM: u32 = 64u;
const SIZE: u32 = 3u;
const WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(2) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = group.x;
  let sequence = sequences[sequence_of[row]];
  for (var j = thread; j < DIM * SIZE; j += WORKGROUP) {
    // Row of the sequence; one before its first wraps around to a huge number.
    let place = row + j % SIZE - SIZE / 2u - sequence.x;
    var value = 0.0;
    if (place < sequence.y) {
      value = x[(sequence.x + place) * DIM + j / SIZE];
    }
    y[row * DIM * SIZE + j] = value;
  }
}
