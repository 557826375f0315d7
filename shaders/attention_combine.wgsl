// attention_combine: puts together the pieces that attention_split left
//
//   out[s, h] = sum_i 2^(m[i] - m) o[i] / sum_i 2^(m[i] - m) l[i],   m = max_i m[i]
//
//   pieces  [decodes, MAX_SPLITS, HEADS, HEAD_DIM4 + 1] vec4f: o, then (m, l); an empty piece has l = 0
//   out     [T, HEADS * HEAD_DIM] f32; row s belongs to sequence s
//   grid    (HEADS * HEAD_DIM4 / WORKGROUP, combines); a thread makes four neighbouring dims
//
// Dao et al. 2023, https://pytorch.org/blog/flash-decoding/, last step.

// Specialized by src/kernels/attention.ts.
const HEADS: u32 = 6u;
const HEAD_DIM: u32 = 10u;
const MAX_SPLITS: u32 = 16u;
const WORKGROUP: u32 = 64u;

//!include lib/counts.wgsl

@group(0) @binding(0) var<storage, read> pieces: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> counts: Counts;

const HEAD_DIM4: u32 = (HEAD_DIM + 3u) / 4u;
const NEVER: f32 = -1e30;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = (group.x * WORKGROUP + thread) / HEAD_DIM4;
  let d4 = (group.x * WORKGROUP + thread) % HEAD_DIM4;
  if (head >= HEADS) {
    return;
  }

  var largest = NEVER;
  var sum = 0.0;
  var o = vec4f();
  for (var i = 0u; i < count(SPLITS); i++) {
    let at = ((group.y * MAX_SPLITS + i) * HEADS + head) * (HEAD_DIM4 + 1u);
    let state = pieces[at + HEAD_DIM4];
    let before = largest;
    largest = max(before, state.x);
    let old_scale = exp2(before - largest);
    let new_scale = exp2(state.x - largest);
    o = o * old_scale + pieces[at + d4] * new_scale;
    sum = sum * old_scale + state.y * new_scale;
  }

  let y = o * select(0.0, 1.0 / sum, sum > 0.0);
  for (var c = 0u; c < 4u; c++) {
    let d = d4 * 4u + c;
    if (d < HEAD_DIM) {
      out[(group.y * HEADS + head) * HEAD_DIM + d] = y[c];
    }
  }
}
