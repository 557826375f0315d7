// attention_lanes: attention of one query per sequence over the paged KV cache, each subgroup by itself
//
//   out[s, h] = sum_j p[j] V[j] / sum_j p[j],   p[j] = exp(SCALE * <Q[s, h], K[j]> + bias[j - s, h]) over the keys that s sees
//
//   operands, pieces and grid as in attention_split
//
// A workgroup is one subgroup, of LANES threads, and takes as many keys at a time: a thread scores one of them for
// HEADS_PER_BLOCK query heads, then adds every LANES-th vec4 of all their values to its sums. Queries and p go round the
// subgroup, so that there are neither barriers nor workgroup memory: for processors, whose vector registers subgroups are.
//
// Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3; the cut is Flash-Decoding's
// (https://pytorch.org/blog/flash-decoding/).
//!enable subgroups

// Specialized by src/kernels/attention_one.ts.
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
const LANES: u32 = 8u;

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
// vec4s of a head in each thread: every LANES-th.
const PART4: u32 = (HEAD_DIM4 + LANES - 1u) / LANES;
// Threads that have some.
const OWNERS: u32 = min(HEAD_DIM4, LANES);
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
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

  var q: array<vec4f, HEADS_PER_BLOCK * PART4>;
  var o: array<vec4f, HEADS_PER_BLOCK * PART4>;
  var largest: array<f32, HEADS_PER_BLOCK>;
  var sum: array<f32, HEADS_PER_BLOCK>;
  for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
    largest[h] = NEVER;
  }
  // A block may have fewer heads; queries of those that are not there are zero. Heads are counted by what is known when the
  // shader runs, so that no compiler unrolls the loop: llvmpipe makes much code of each access.
  for (var head = 0u; head < heads; head++) {
    for (var i = 0u; i < PART4; i++) {
      let d4 = i * LANES + lane;
      let scale = select(0.0, SCALE * LOG2_E, d4 < HEAD_DIM4);
      let dims = queries[(row + head) * HEAD_DIM4 + min(d4, HEAD_DIM4 - 1u)] * scale;
      for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
        q[h * PART4 + i] = select(q[h * PART4 + i], dims, h == head);
      }
    }
  }

  for (var base = begin; base < end; base += LANES) {
    let is_key = base + lane < end;
    let position = min(base + lane, end - 1u);
    let page = page_of(group.z, position);
    let key_at = key_index(page, kv_head, 0u, position);
    let value_at = value_index(page, kv_head, 0u, position);

    var products = array<vec4f, HEADS_PER_BLOCK>();
    // Not counted from 0 to a constant: Mesa's llvmpipe would unroll these loops and compile them for seconds.
    for (var turn = base; turn < base + OWNERS; turn++) {
      let owner = turn - base;
      for (var i = 0u; i < PART4; i++) {
        // Past the head, queries are zero.
        let key = kv_load(keys[key_at + min(i * LANES + owner, HEAD_DIM4 - 1u) * PAGE]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          products[h] = fma(subgroupShuffle(q[h * PART4 + i], owner), key, products[h]);
        }
      }
    }

    let key_factor = key_scale(key_at);
    let value_factor = value_scale(value_at);
    var p = array<f32, HEADS_PER_BLOCK>();
    for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
      var score = dot(products[h], vec4f(key_factor));
      if (BIAS_ROWS > 0u) {
        score += bias_of((row + min(h, heads - 1u)) % HEADS, length - 1u, position) * LOG2_E;
      }
      score = select(NEVER, score, is_key);
      let before = largest[h];
      largest[h] = max(before, largest_of_all(score));
      let rescale = exp2(before - largest[h]);
      p[h] = exp2(score - largest[h]);
      sum[h] = fma(sum[h], rescale, p[h]);
      p[h] *= value_factor;
      for (var i = 0u; i < PART4; i++) {
        o[h * PART4 + i] *= rescale;
      }
    }

    for (var turn = base; turn < base + LANES; turn++) {
      let owner = turn - base;
      let at = subgroupShuffle(value_at, owner);
      var weights = array<f32, HEADS_PER_BLOCK>();
      for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
        weights[h] = subgroupShuffle(p[h], owner);
      }
      for (var i = 0u; i < PART4; i++) {
        let value = kv_load(values[at + min(i * LANES + lane, HEAD_DIM4 - 1u)]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          o[h * PART4 + i] = fma(vec4f(weights[h]), value, o[h * PART4 + i]);
        }
      }
    }
  }

  for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
    sum[h] = sum_of_all(sum[h]);
  }
  for (var head = 0u; head < heads; head++) {
    var state = vec2f(largest[0], sum[0]);
    for (var h = 1u; h < HEADS_PER_BLOCK; h++) {
      state = select(state, vec2f(largest[h], sum[h]), h == head);
    }
    for (var i = 0u; i < PART4; i++) {
      var total = o[i];
      for (var h = 1u; h < HEADS_PER_BLOCK; h++) {
        total = select(total, o[h * PART4 + i], h == head);
      }
      if (i * LANES + lane < HEAD_DIM4) {
        store(group, row + head, i * LANES + lane, total, state, splits);
      }
    }
  }
}

fn largest_of_all(own: f32) -> f32 {
  var all = own;
  for (var step = 1u; step < LANES; step *= 2u) {
    all = max(all, subgroupShuffleXor(all, step));
  }
  return all;
}

fn sum_of_all(own: f32) -> f32 {
  var all = own;
  for (var step = 1u; step < LANES; step *= 2u) {
    all += subgroupShuffleXor(all, step);
  }
  return all;
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
