// gather_rows: y[i, :] = x[rows[i], :]
//
//   x [any, DIM] f32      rows [n] u32      y [n, DIM] f32
//   grid  one workgroup per row of y

// Specialized by src/kernels/gather_rows.ts.
const DIM: u32 = 64u;
const WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let source = rows[group.x] * DIM;
  for (var i = thread; i < DIM; i += WORKGROUP) {
    y[group.x * DIM + i] = x[source + i];
  }
}
