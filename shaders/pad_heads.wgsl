// pad_heads: fills heads up with zeros to whole vec4s, as the attention kernels read queries
//
//   x    [T, HEADS * HEAD_DIM] f32
//   y    [T, HEADS, HEAD_DIM4] vec4f
//   grid (vec4s of a row / WORKGROUP, T)

// Specialized by src/kernels/pad_heads.ts.
const HEADS: u32 = 2u;
const HEAD_DIM: u32 = 6u;
const WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

const HEAD_DIM4: u32 = (HEAD_DIM + 3u) / 4u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.y * HEADS + (group.x * WORKGROUP + thread) / HEAD_DIM4;
  let d4 = (group.x * WORKGROUP + thread) % HEAD_DIM4;
  if (head >= (group.y + 1u) * HEADS) {
    return;
  }
  var padded = vec4f();
  for (var i = 0u; i < min(4u, HEAD_DIM - d4 * 4u); i++) {
    padded[i] = x[head * HEAD_DIM + d4 * 4u + i];
  }
  y[head * HEAD_DIM4 + d4] = padded;
}
