// copy_pages: copies pages of one layer's KV cache, keys and values
//
//   pairs         [copies] (from, to): no page is written that another pair reads or writes
//   keys, values  [pages, PAGE4] Kv4
//   grid          (PAGE4 / WORKGROUP, copies)

// Specialized by src/kernels/copy_pages.ts.
const PAGE4: u32 = 96u;
const WORKGROUP: u32 = 64u;

//!include KV lib/kv_f32.wgsl

@group(0) @binding(0) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> keys: array<Kv4>;
@group(0) @binding(2) var<storage, read_write> values: array<Kv4>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = group.x * WORKGROUP + thread;
  if (i >= PAGE4) {
    return;
  }
  let pages = pairs[group.y] * PAGE4;
  keys[pages.y + i] = keys[pages.x + i];
  values[pages.y + i] = values[pages.x + i];
}
