// rope_append: rotates the queries and keys of a step by their positions, and stores keys and values in the cache
//
//   (y[a], y[b]) = (x[a] cos - x[b] sin, x[b] cos + x[a] sin)    for each pair of dims (a, b) of a head
//   pairs of rotary dims: (i, i + ROTARY_DIM / 2), or (2i, 2i + 1) if INTERLEAVED; later dims are copied
//
//   qkv       [T, (HEADS + 2 KV_HEADS) * HEAD_DIM] f32: query heads, key heads, value heads
//   rotary    [T, ROTARY_DIM / 2] (cos, sin) of each token's angles
//   queries   [T, HEADS, HEAD_DIM4] vec4f, padded with zeros; HEADS may be 0
//   keys, values: pages as in lib/kv_pages.wgsl, padded with zeros; each thread of a head that is scaled looks at all of it
//   grid      (vec4s of a row / WORKGROUP, T); a thread makes four neighbouring dims of a head
//
// Su et al. 2021, RoFormer, arXiv:2104.09864, eq. 34. The half-split pairing is GPT-NeoX's.

// Specialized by src/kernels/rope_append.ts.
const HEADS: u32 = 2u;
const KV_HEADS: u32 = 1u;
const HEAD_DIM: u32 = 6u;
const ROTARY_DIM: u32 = 4u;
const INTERLEAVED: bool = false;
const PAGE: u32 = 16u;
const TABLE: u32 = 4u;
const WORKGROUP: u32 = 64u;

//!include KV lib/kv_f32.wgsl
//!include lib/kv_pages.wgsl

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> rotary: array<vec2f>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read_write> queries: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> keys: array<Kv4>;
@group(0) @binding(7) var<storage, read_write> values: array<Kv4>;

const ALL_HEADS: u32 = HEADS + 2u * KV_HEADS;
const PAIRS: u32 = ROTARY_DIM / 2u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let token = group.y;
  let head = (group.x * WORKGROUP + thread) / HEAD_DIM4;
  let d4 = (group.x * WORKGROUP + thread) % HEAD_DIM4;
  if (head >= ALL_HEADS) {
    return;
  }

  let y = dims(token, head, d4);
  if (head < HEADS) {
    queries[(token * HEADS + head) * HEAD_DIM4 + d4] = y;
    return;
  }
  let position = positions[token];
  let page = page_of(sequence_of[token], position);
  var scale = 1.0;
  if (KV_SCALES > 0u) {
    scale = scale_of(token, head);
  }
  if (head < HEADS + KV_HEADS) {
    keys[key_index(page, head - HEADS, d4, position)] = kv_store(y, scale);
    if (KV_SCALES > 0u && d4 == 0u) {
      keys[key_index(page, head - HEADS, HEAD_DIM4, position)] = kv_store_scale(scale);
    }
  } else {
    values[value_index(page, head - HEADS - KV_HEADS, d4, position)] = kv_store(y, scale);
    if (KV_SCALES > 0u && d4 == 0u) {
      values[value_index(page, head - HEADS - KV_HEADS, HEAD_DIM4, position)] = kv_store_scale(scale);
    }
  }
}

// Four neighbouring dims of a head as they are stored, padded with zeros.
fn dims(token: u32, head: u32, d4: u32) -> vec4f {
  let row = (token * ALL_HEADS + head) * HEAD_DIM;
  var y = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let d = d4 * 4u + i;
    if (d >= HEAD_DIM) {
      break;
    }
    if (d < ROTARY_DIM && head < HEADS + KV_HEADS) {
      y[i] = rotated(row, d, token);
    } else {
      y[i] = qkv[row + d];
    }
  }
  return y;
}

// Largest magnitude of a head over the steps to either side. Below 1e-30, which has no reciprocal everywhere, it is 0.
fn scale_of(token: u32, head: u32) -> f32 {
  var largest = vec4f();
  for (var d4 = 0u; d4 < HEAD_DIM4; d4++) {
    largest = max(largest, abs(dims(token, head, d4)));
  }
  let scale = max(max(largest.x, largest.y), max(largest.z, largest.w)) / KV_STEPS;
  return select(0.0, scale, scale > 1e-30);
}

// Dim `d` of the head at `row`, after the rotation of the pair it belongs to.
fn rotated(row: u32, d: u32, token: u32) -> f32 {
  var pair = d / 2u;
  var partner = d ^ 1u;
  var is_first = d % 2u == 0u;
  if (!INTERLEAVED) {
    is_first = d < PAIRS;
    pair = select(d - PAIRS, d, is_first);
    partner = select(d - PAIRS, d + PAIRS, is_first);
  }
  let turn = rotary[token * PAIRS + pair];
  let sine = select(turn.y, -turn.y, is_first);
  return qkv[row + d] * turn.x + qkv[row + partner] * sine;
}
