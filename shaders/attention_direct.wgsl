// attention_direct: attention over the paged KV cache, one thread per query and head
//
//   out[q, h] = sum_j p[j] V[j] / sum_j p[j],   p[j] = exp(SCALE * <Q[q, h], K[j]> + bias[j - q, h]) over the keys that q sees
//
//   queries      [T, HEADS, HEAD_DIM4] vec4f, zero-padded        out  [T, HEADS * HEAD_DIM] f32
//   sequence_of  [T] u32
//   sequences    [S] (first row, queries in this step, keys with this step's, first page)
//   keys, values, tables: lib/kv_pages.wgsl      bias: lib/attention_bias.wgsl
//   grid         (HEADS / WORKGROUP, T)
//
// The readable kernel: oracle of the others. Without workgroup memory and barriers it is also the fast one on devices
// that run the threads of a workgroup one after another.
//
// Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3.

// Specialized by src/kernels/attention.ts.
const HEADS: u32 = 2u;
const KV_HEADS: u32 = 1u;
const HEAD_DIM: u32 = 10u;
const SCALE: f32 = 0.125;
const CAUSAL: bool = true;
const WINDOW: u32 = 0u;
const BIAS_ROWS: u32 = 0u;
const PAGE: u32 = 16u;
const TABLE: u32 = 4u;
const WORKGROUP: u32 = 4u;

//!include KV lib/kv_f32.wgsl
//!include lib/kv_pages.wgsl
//!include lib/attention_window.wgsl
//!include lib/attention_bias.wgsl

@group(0) @binding(0) var<storage, read> queries: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<Kv4>;
@group(0) @binding(2) var<storage, read> values: array<Kv4>;
@group(0) @binding(3) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(4) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(5) var<storage, read> tables: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

const NEVER: f32 = -1e30;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let head = group.x * WORKGROUP + thread;
  if (head >= HEADS) {
    return;
  }
  let token = group.y;
  let sequence = sequence_of[token];
  let place = sequences[sequence];
  let position = place.z - place.y + token - place.x;
  let end = end_visible(position, place.z);
  let kv_head = head / (HEADS / KV_HEADS);
  let row = (token * HEADS + head) * HEAD_DIM4;

  var o: array<vec4f, HEAD_DIM4>;
  var largest = NEVER;
  var sum = 0.0;
  for (var key = first_visible(position); key < end; key++) {
    let page = page_of(sequence, key);
    let key_at = key_index(page, kv_head, 0u, key);
    var products = vec4f();
    for (var i = 0u; i < HEAD_DIM4; i++) {
      products += queries[row + i] * kv_load(keys[key_at + i * PAGE]);
    }
    var score = dot(products, vec4f(SCALE)) * key_scale(key_at);
    if (BIAS_ROWS > 0u) {
      score += bias_of(head, position, key);
    }

    let before = largest;
    largest = max(largest, score);
    let rescale = exp(before - largest);
    let p = exp(score - largest);
    sum = sum * rescale + p;
    let value_at = value_index(page, kv_head, 0u, key);
    let weight = p * value_scale(value_at);
    for (var i = 0u; i < HEAD_DIM4; i++) {
      o[i] = o[i] * rescale + weight * kv_load(values[value_at + i]);
    }
  }

  for (var d = 0u; d < HEAD_DIM; d++) {
    out[(token * HEADS + head) * HEAD_DIM + d] = o[d / 4u][d % 4u] / sum;
  }
}
