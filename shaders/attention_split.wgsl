// attention_split: attention of one query per sequence over the paged KV cache, the keys shared out to workgroups
//
//   out[s, h] = sum_j p[j] V[j] / sum_j p[j],   p[j] = exp(SCALE * <Q[s, h], K[j]> + bias[j - s, h]) over the keys that s sees
//
//   queries    [T, HEADS, HEAD_DIM4] vec4f, zero-padded; row s is the query of sequence s
//   keys, values, tables: lib/kv_pages.wgsl      bias: lib/attention_bias.wgsl
//   sequences  [S] (first row, queries in this step, keys with this step's, first page); the query is at the
//              position of the last key
//   out        [T, HEADS * HEAD_DIM] f32: written if there is one piece
//   pieces     [decodes, MAX_SPLITS, HEADS, HEAD_DIM4 + 1] vec4f: written if there are more; the sum of p V over the keys
//              of a piece, then (largest score, sum of p), with scores in units of log 2 and p relative to the largest
//   grid       (KV_HEADS * BLOCKS, splits, decodes)
//
// A workgroup takes HEADS_PER_BLOCK of the query heads that share a kv head, so that one read of the keys serves them,
// and one piece of the visible keys, cut at page borders. Scores: a thread per key. Values: a thread per four dims and
// every LANES-th key.
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
const WORKGROUP: u32 = 128u;

//!include KV lib/kv_f32.wgsl
//!include REDUCE lib/reduce_tree.wgsl
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
// Numbers that each head has one of go through the reductions four at a time.
const QUADS: u32 = (HEADS_PER_BLOCK + 3u) / 4u;
const LANES: u32 = WORKGROUP / HEAD_DIM4;
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

var<workgroup> query: array<vec4f, HEADS_PER_BLOCK * HEAD_DIM4>;
// p of the keys of a tile, times the scale of the value, four heads in a vec4: [QUADS, WORKGROUP].
var<workgroup> weights: array<vec4f, QUADS * WORKGROUP>;
// Where the values of the keys of a tile start.
var<workgroup> value_rows: array<u32, WORKGROUP>;
// Sums over every LANES-th key: [LANES, HEAD_DIM4].
var<workgroup> lane_sums: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let thread = lane.thread;
  let splits = count(SPLITS);
  let kv_head = group.x / BLOCKS;
  let first_head = group.x % BLOCKS * HEADS_PER_BLOCK;
  let heads = min(HEADS_PER_BLOCK, GROUP - first_head);
  let row = group.z * HEADS + kv_head * GROUP + first_head;

  for (var i = thread; i < HEADS_PER_BLOCK * HEAD_DIM4; i += WORKGROUP) {
    var q = vec4f();
    if (i < heads * HEAD_DIM4) {
      q = queries[row * HEAD_DIM4 + i] * (SCALE * LOG2_E);
    }
    query[i] = q;
  }
  workgroupBarrier();

  let length = sequences[group.z].z;
  let first = first_visible(length - 1u);
  let first_page = first / PAGE;
  let pages = (length + PAGE - 1u) / PAGE - first_page;
  let pages_per_split = (pages + splits - 1u) / splits;
  let piece = first_page + group.y * pages_per_split;
  let begin = max(first, piece * PAGE);
  let end = min(length, (piece + pages_per_split) * PAGE);

  let d4 = thread % HEAD_DIM4;
  let value_lane = thread / HEAD_DIM4;
  var o: array<vec4f, HEADS_PER_BLOCK>;
  var largest: array<vec4f, QUADS>;
  var sum: array<vec4f, QUADS>;
  for (var i = 0u; i < QUADS; i++) {
    largest[i] = vec4f(NEVER);
  }

  for (var base = begin; base < end; base += WORKGROUP) {
    let position = base + thread;
    let is_key = position < end;
    // Written out: a `var` without initializer is not zeroed again in a loop (https://github.com/gfx-rs/wgpu/issues/9489).
    var score = array<f32, QUADS * 4u>();
    var scale = 1.0;
    if (is_key) {
      let page = page_of(group.z, position);
      let first_dims = key_index(page, kv_head, 0u, position);
      // Not counted by a constant: Mesa's llvmpipe would unroll the loop and compile it for seconds.
      var i = 0u;
      for (var at = first_dims; at < first_dims + HEAD_DIM4 * PAGE; at += PAGE) {
        let key = kv_load(keys[at]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          score[h] += dot(query[h * HEAD_DIM4 + i], key);
        }
        i++;
      }
      if (KV_SCALES > 0u) {
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          score[h] *= key_scale(first_dims);
        }
      }
      if (BIAS_ROWS > 0u) {
        for (var h = 0u; h < heads; h++) {
          score[h] += bias_of(row % HEADS + h, length - 1u, position) * LOG2_E;
        }
      }
      let value_at = value_index(page, kv_head, 0u, position);
      value_rows[thread] = value_at;
      scale = value_scale(value_at);
    }

    var rescale = array<vec4f, QUADS>();
    for (var i = 0u; i < QUADS; i++) {
      let scores = vec4f(score[i * 4u], score[i * 4u + 1u], score[i * 4u + 2u], score[i * 4u + 3u]);
      let quad = select(vec4f(NEVER), scores, is_key);
      let before = largest[i];
      largest[i] = max(before, block_max4(quad, lane));
      rescale[i] = exp2(before - largest[i]);
      let p = select(vec4f(), exp2(quad - largest[i]), is_key);
      sum[i] = sum[i] * rescale[i] + p;
      weights[i * WORKGROUP + thread] = p * scale;
    }
    workgroupBarrier();

    for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
      o[h] *= rescale[h / 4u][h % 4u];
    }
    if (value_lane < LANES) {
      for (var j = value_lane; j < min(WORKGROUP, end - base); j += LANES) {
        let value = kv_load(values[value_rows[j] + d4]);
        for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
          o[h] += weights[h / 4u * WORKGROUP + j][h % 4u] * value;
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < QUADS; i++) {
    sum[i] = block_sum4(sum[i], lane);
  }
  for (var h = 0u; h < HEADS_PER_BLOCK; h++) {
    workgroupBarrier();
    lane_sums[thread] = o[h];
    workgroupBarrier();
    if (thread < HEAD_DIM4 && h < heads) {
      var total = vec4f();
      for (var i = thread; i < LANES * HEAD_DIM4; i += HEAD_DIM4) {
        total += lane_sums[i];
      }
      if (splits == 1u) {
        write_result(row + h, thread, total, sum[h / 4u][h % 4u]);
      } else {
        let at = ((group.z * MAX_SPLITS + group.y) * HEADS + row % HEADS + h) * (HEAD_DIM4 + 1u);
        pieces[at + thread] = total;
        pieces[at + HEAD_DIM4] = vec4f(largest[h / 4u][h % 4u], sum[h / 4u][h % 4u], 0.0, 0.0);
      }
    }
  }
}

fn write_result(row: u32, d4: u32, total: vec4f, sum: f32) {
  let y = total * select(0.0, 1.0 / sum, sum > 0.0);
  for (var c = 0u; c < 4u; c++) {
    let d = d4 * 4u + c;
    if (d < HEAD_DIM) {
      out[row * HEAD_DIM + d] = y[c];
    }
  }
}
