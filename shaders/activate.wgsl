// activate: y[t, i] = activate(x[t, i])
//
//   x, y  [rows, SIZE] f32
//   grid  (SIZE / WORKGROUP, rows)

// Specialized by src/kernels/activation.ts.
const SIZE: u32 = 96u;
const ACTIVATION: u32 = 0u;
const WORKGROUP: u32 = 64u;

//!include lib/activation.wgsl

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = group.x * WORKGROUP + thread;
  if (i < SIZE) {
    y[group.y * SIZE + i] = activate(x[group.y * SIZE + i]);
  }
}
