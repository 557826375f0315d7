// attention_lanes: attention of one query per sequence over the paged KV cache, each thread by itself
//
//   out[s, h] = sum_j p[j] V[j] / sum_j p[j],   p[j] = exp(SCALE * <Q[s, h], K[j]> + bias[j - s, h]) over the keys that s sees
//
//   operands, pieces and grid as in attention_split
//
// PARTS threads, each with PART4 vec4s of it, take every LANES-th key of a piece: they score it for HEADS_PER_BLOCK query
// heads, and add its value to sums of their own, all in registers; the lanes' sums meet at the end of the piece. So
// nothing but scores goes through workgroup memory. Neighbours read values far apart: for processors, where that costs
// nothing.
//
// Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3; the cut is Flash-Decoding's
// (https://pytorch.org/blog/flash-decoding/).

// Specialized by src/kernels/attention.ts.
const HEADS: u32 = 6u;
const KV_HEADS: u32 = 2u;
const HEAD_DIM: u32 = 10u;
const SCALE: f32 = 0.125;
const CAUSAL: bool = true;
const WINDOW: u32 = 0u;
const BIAS_ROWS: u32 = 0u;
const PAGE: u32 = 16u;
const TABLE: u32 = 4u;
const HEADS_PER_BLOCK: u32 = 3u;
const MAX_SPLITS: u32 = 16u;
const PARTS: u32 = 1u;
const LANES: u32 = 8u;
// Keys of a lane between two looks at the largest score.
const KEYS: u32 = 16u;

//!include KV lib/kv_f32.wgsl
//!include lib/kv_pages.wgsl
//!include lib/attention_window.wgsl
//!include lib/attention_bias.wgsl
//!include lib/counts.wgsl

@group(0) @binding(0) var<storage, read> queries: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<Kv4>;
@group(0) @binding(2) var<storage, read> values: array<Kv4>;
@group(0) @binding(3) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read_write> pieces: array<vec4f>;
@group(0) @binding(8) var<uniform> counts: Counts;

const GROUP: u32 = HEADS / KV_HEADS;
const BLOCKS: u32 = (GROUP + HEADS_PER_BLOCK - 1u) / HEADS_PER_BLOCK;
const PART4: u32 = (HEAD_DIM4 + PARTS - 1u) / PARTS;
const THREADS: u32 = PARTS * LANES;
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

// Each part's share of the scores of a tile; then, in the first part's place, p: [KEYS, HEADS_PER_BLOCK, PARTS, LANES].
var<workgroup> scores: array<f32, KEYS * HEADS_PER_BLOCK * THREADS>;
// Of each head and lane: largest score so far, sum of p, and what the sums before this tile are to be multiplied by.
var<workgroup> largest: array<f32, HEADS_PER_BLOCK * LANES>;
var<workgroup> sum: array<f32, HEADS_PER_BLOCK * LANES>;
var<workgroup> rescale: array<f32, HEADS_PER_BLOCK * LANES>;
// Sums of p V of one head: [PARTS * PART4, LANES].
var<workgroup> sums: array<vec4f, PART4 * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let splits = count(SPLITS);
  let kv_head = group.x / BLOCKS;
  let first_head = group.x % BLOCKS * HEADS_PER_BLOCK;
  let heads = min(HEADS_PER_BLOCK, GROUP - first_head);
  let row = group.z * HEADS + kv_head * GROUP + first_head;

  let length = sequences[group.z].z;
  let first = first_visible(length - 1u);
  let first_page = first / PAGE;
  let pages = (length + PAGE - 1u) / PAGE - first_page;
  let pages_per_split = (pages + splits - 1u) / splits;
  let piece = first_page + group.y * pages_per_split;
  let begin = max(first, piece * PAGE);
  let end = min(length, (piece + pages_per_split) * PAGE);

  let lane = thread % LANES;
  let part = thread / LANES;
  var q: array<vec4f, HEADS_PER_BLOCK * PART4>;
  var o: array<vec4f, HEADS_PER_BLOCK * PART4>;
  // A block may have fewer heads; queries of those that are not there are zero. Heads are counted by what is known when the
  // shader runs, so that no compiler unrolls the loop: llvmpipe makes much code of each access.
  for (var head = 0u; head < heads; head++) {
    for (var i = 0u; i < PART4; i++) {
      let d4 = part * PART4 + i;
      let scale = select(0.0, SCALE * LOG2_E, d4 < HEAD_DIM4);
      let dims = queries[(row + head) * HEAD_DIM4 + min(d4, HEAD_DIM4 - 1u)] * scale;
      for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
        q[h * PART4 + i] = select(q[h * PART4 + i], dims, h == head);
      }
    }
  }
  for (var i = thread; i < HEADS_PER_BLOCK * LANES; i += THREADS) {
    largest[i] = NEVER;
  }

  for (var base = begin; base < end; base += KEYS * LANES) {
    let tile_end = min(base + KEYS * LANES, end);
    var slot = thread;
    workgroupBarrier();
    for (var position = base + lane; position < tile_end; position += LANES) {
      let first_dims = key_index(page_of(group.z, position), kv_head, 0u, position);
      let at = first_dims + part * PART4 * PAGE;
      let scale = key_scale(first_dims);
      var products = array<vec4f, HEADS_PER_BLOCK>();
      for (var i = 0u; i < PART4; i++) {
        // What a part has too much meets queries of zero, if only it is no page's end.
        let key = kv_load(keys[at + min(i, HEAD_DIM4 - 1u - part * PART4) * PAGE]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          products[h] = fma(q[h * PART4 + i], key, products[h]);
        }
      }
      for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
        scores[slot] = dot(products[h], vec4f(scale));
        slot += THREADS;
      }
    }
    workgroupBarrier();

    for (var i = thread; i < HEADS_PER_BLOCK * LANES; i += THREADS) {
      soften(i, row, heads, length, base, tile_end);
    }
    workgroupBarrier();

    for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
      let factor = rescale[h * LANES + lane];
      for (var i = 0u; i < PART4; i++) {
        o[h * PART4 + i] *= factor;
      }
    }
    slot = lane;
    for (var position = base + lane; position < tile_end; position += LANES) {
      let first_dims = value_index(page_of(group.z, position), kv_head, 0u, position);
      let at = first_dims + part * PART4;
      let scale = value_scale(first_dims);
      var p = array<f32, HEADS_PER_BLOCK>();
      for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
        p[h] = scores[slot] * scale;
        slot += THREADS;
      }
      for (var i = 0u; i < PART4; i++) {
        let value = kv_load(values[at + min(i, HEAD_DIM4 - 1u - part * PART4)]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          o[h * PART4 + i] = fma(vec4f(p[h]), value, o[h * PART4 + i]);
        }
      }
    }
  }

  for (var head = 0u; head < heads; head++) {
    workgroupBarrier();
    var whole = vec2f(NEVER, 0.0);
    for (var i = head * LANES; i < (head + 1u) * LANES; i++) {
      whole.x = max(whole.x, largest[i]);
    }
    for (var i = head * LANES; i < (head + 1u) * LANES; i++) {
      whole.y += sum[i] * exp2(largest[i] - whole.x);
    }
    let factor = exp2(largest[head * LANES + lane] - whole.x);
    for (var i = 0u; i < PART4; i++) {
      var total = o[i];
      for (var h = 1u; h < HEADS_PER_BLOCK; h++) {
        total = select(total, o[h * PART4 + i], h == head);
      }
      sums[(part * PART4 + i) * LANES + lane] = total * factor;
    }
    workgroupBarrier();
    for (var d4 = thread; d4 < HEAD_DIM4; d4 += THREADS) {
      var total = vec4f();
      for (var i = d4 * LANES; i < (d4 + 1u) * LANES; i++) {
        total += sums[i];
      }
      store(group, row + head, d4, total, whole, splits);
    }
  }
}

// Turns the scores of head i / LANES of the block with the keys of lane i % LANES into p.
fn soften(i: u32, row: u32, heads: u32, length: u32, base: u32, tile_end: u32) {
  let first = (i / LANES) * THREADS + i % LANES;
  let before = largest[i];
  var most = before;
  var at = first;
  for (var position = base + i % LANES; position < tile_end; position += LANES) {
    var score = 0.0;
    for (var part = 0u; part < PARTS; part++) {
      score += scores[at + part * LANES];
    }
    if (BIAS_ROWS > 0u) {
      score += bias_of((row + min(i / LANES, heads - 1u)) % HEADS, length - 1u, position) * LOG2_E;
    }
    most = max(most, score);
    scores[at] = score;
    at += HEADS_PER_BLOCK * THREADS;
  }
  let factor = exp2(before - most);
  var total = sum[i] * factor;
  at = first;
  for (var position = base + i % LANES; position < tile_end; position += LANES) {
    let p = exp2(scores[at] - most);
    total += p;
    scores[at] = p;
    at += HEADS_PER_BLOCK * THREADS;
  }
  largest[i] = most;
  sum[i] = total;
  rescale[i] = factor;
}

fn store(group: vec3u, row: u32, d4: u32, total: vec4f, state: vec2f, splits: u32) {
  if (splits > 1u) {
    let at = ((group.z * MAX_SPLITS + group.y) * HEADS + row % HEADS) * (HEAD_DIM4 + 1u);
    pieces[at + d4] = total;
    pieces[at + HEAD_DIM4] = vec4f(state, 0.0, 0.0);
    return;
  }
  let y = total * select(0.0, 1.0 / state.y, state.y > 0.0);
  for (var c = 0u; c < 4u; c++) {
    let d = d4 * 4u + c;
    if (d < HEAD_DIM) {
      out[row * HEAD_DIM + d] = y[c];
    }
  }
}
