// attention_tile: attention of many queries per sequence over the paged KV cache
//
//   out[q, h] = sum_j p[j] V[j] / sum_j p[j],   p[j] = exp(SCALE * <Q[q, h], K[j]> + bias[j - q, h]) over the keys that q sees
//
//   queries    [T, HEADS, HEAD_DIM4] vec4f, zero-padded        out  [T, HEADS * HEAD_DIM] f32
//   keys, values, tables: lib/kv_pages.wgsl      bias: lib/attention_bias.wgsl
//   sequences  [S] (first row, queries in this step, keys with this step's, first page)
//   tiles      [tiles] (sequence, first packed row)
//   grid       (tiles, KV_HEADS)
//
// The GROUP query heads that share a kv head are packed with the queries: packed row = query * GROUP + head in group,
// so that one read of keys and values serves them all. A workgroup takes ROWS packed rows and walks over the keys that
// any of them sees, KEYS at a time, with an online softmax; no matrix of scores exists. A thread holds PART4 vec4s of TALL
// queries and of their outputs, so that what it reads of a key or value serves TALL rows; the parts' scores of a row meet in
// workgroup memory, where one thread turns them into p.
//
// Tiles of keys start at multiples of KEYS, so a query's result does not depend on the queries it is run with.
//
// Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3; Dao 2023, FlashAttention-2, arXiv:2307.08691, algorithm 1.

// Specialized by src/kernels/attention.ts.
const HEADS: u32 = 2u;
const KV_HEADS: u32 = 1u;
const HEAD_DIM: u32 = 80u;
const SCALE: f32 = 0.125;
const CAUSAL: bool = true;
const WINDOW: u32 = 0u;
const BIAS_ROWS: u32 = 0u;
const PAGE: u32 = 16u;
const TABLE: u32 = 4u;
const ROWS: u32 = 32u;
const PARTS: u32 = 4u;
const TALL: u32 = 1u;
const KEYS: u32 = 16u;

//!include KV lib/kv_f32.wgsl
//!include lib/kv_pages.wgsl
//!include lib/attention_window.wgsl
//!include lib/attention_bias.wgsl

@group(0) @binding(0) var<storage, read> queries: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<Kv4>;
@group(0) @binding(2) var<storage, read> values: array<Kv4>;
@group(0) @binding(3) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(4) var<storage, read> tables: array<u32>;
@group(0) @binding(5) var<storage, read> tiles: array<vec2u>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

const GROUP: u32 = HEADS / KV_HEADS;
const WIDE: u32 = ROWS / TALL;
const THREADS: u32 = WIDE * PARTS;
const PART4: u32 = (HEAD_DIM4 + PARTS - 1u) / PARTS;
const ROW4: u32 = PART4 * PARTS;
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

// A tile of keys [ROW4, KEYS], then of values [KEYS, ROW4]: each in the order of the cache.
var<workgroup> tile: array<vec4f, KEYS * ROW4>;
// Each part's share of the rows' scores; then, in the first part's place, p: [KEYS, PARTS, ROWS].
var<workgroup> scores: array<f32, KEYS * PARTS * ROWS>;
// Of each row: largest score so far, sum of p, and what the sums before this tile are to be multiplied by.
var<workgroup> largest: array<f32, ROWS>;
var<workgroup> sum: array<f32, ROWS>;
var<workgroup> rescale: array<f32, ROWS>;
// Where the values of the keys of a tile start, and their scales.
var<workgroup> value_rows: array<u32, KEYS>;
var<workgroup> value_scales: array<f32, KEYS>;

// The keys that some row of this workgroup sees.
struct Span {
  sequence: u32,
  kv_head: u32,
  begin: u32,
  end: u32,
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let work = tiles[group.x];
  let sequence = sequences[work.x];
  let context = sequence.z - sequence.y;
  let last_query = min((work.y + ROWS - 1u) / GROUP, sequence.y - 1u);
  let span = Span(
    work.x,
    group.y,
    first_visible(context + work.y / GROUP),
    end_visible(context + last_query, sequence.z),
  );

  let part = thread / WIDE;
  let lane = thread % WIDE;
  let rows = min(ROWS, sequence.y * GROUP - work.y);
  var q: array<vec4f, TALL * PART4>;
  var o: array<vec4f, TALL * PART4>;
  // Rows are read, and written at the end, in loops that no compiler unrolls: llvmpipe makes much code of each access. The
  // arrays are indexed by constants all the same, as registers must be.
  for (var at = lane; at < lane + ROWS; at += WIDE) {
    let row = row_of(sequence, work.y + min(at, rows - 1u), group.y);
    for (var i = 0u; i < PART4; i++) {
      let d4 = part * PART4 + i;
      let scale = select(0.0, SCALE * LOG2_E, d4 < HEAD_DIM4);
      let dims = queries[row * HEAD_DIM4 + min(d4, HEAD_DIM4 - 1u)] * scale;
      for (var r = 0u; r < TALL; r++) {
        q[r * PART4 + i] = select(q[r * PART4 + i], dims, at / WIDE == r);
      }
    }
  }
  for (var r = thread; r < ROWS; r += THREADS) {
    largest[r] = NEVER;
  }

  for (var base = span.begin / KEYS * KEYS; base < span.end; base += KEYS) {
    let tile_end = min(base + KEYS, span.end);
    workgroupBarrier();
    stage_keys(base, span, thread);
    workgroupBarrier();

    // Not counted from 0 to at most KEYS: Mesa's llvmpipe would unroll these loops and compile them for seconds.
    for (var key = base; key < tile_end; key++) {
      let j = key - base;
      var products = array<vec4f, TALL>();
      for (var i = 0u; i < PART4; i++) {
        let k = tile[(part * PART4 + i) * KEYS + j];
        for (var r = 0u; r < TALL; r++) {
          products[r] = fma(q[r * PART4 + i], k, products[r]);
        }
      }
      for (var r = 0u; r < TALL; r++) {
        scores[(j * PARTS + part) * ROWS + r * WIDE + lane] = dot(products[r], vec4f(1.0));
      }
    }
    workgroupBarrier();

    stage_values(base, span, thread);
    for (var r = thread; r < ROWS; r += THREADS) {
      soften(r, min(work.y + r, sequence.y * GROUP - 1u), sequence, group.y, base, tile_end);
    }
    workgroupBarrier();

    for (var r = 0u; r < TALL; r++) {
      let factor = rescale[r * WIDE + lane];
      for (var i = 0u; i < PART4; i++) {
        o[r * PART4 + i] *= factor;
      }
    }
    for (var key = base; key < tile_end; key++) {
      let j = key - base;
      var p = array<f32, TALL>();
      for (var r = 0u; r < TALL; r++) {
        p[r] = scores[j * PARTS * ROWS + r * WIDE + lane];
      }
      for (var i = 0u; i < PART4; i++) {
        let value = tile[j * ROW4 + part * PART4 + i];
        for (var r = 0u; r < TALL; r++) {
          o[r * PART4 + i] = fma(vec4f(p[r]), value, o[r * PART4 + i]);
        }
      }
    }
  }

  for (var at = lane; at < rows; at += WIDE) {
    let row = row_of(sequence, work.y + at, group.y);
    let scale = select(0.0, 1.0 / sum[at], sum[at] > 0.0);
    for (var i = 0u; i < PART4; i++) {
      var y = o[i];
      for (var r = 1u; r < TALL; r++) {
        y = select(y, o[r * PART4 + i], at / WIDE == r);
      }
      for (var c = 0u; c < 4u; c++) {
        let d = (part * PART4 + i) * 4u + c;
        if (HEAD_DIM == PARTS * PART4 * 4u || d < HEAD_DIM) {
          out[row * HEAD_DIM + d] = y[c] * scale;
        }
      }
    }
  }
}

// Row of the queries that a packed row is.
fn row_of(sequence: vec4u, packed: u32, kv_head: u32) -> u32 {
  return (sequence.x + packed / GROUP) * HEADS + kv_head * GROUP + packed % GROUP;
}

// Turns the scores of row r of the workgroup with a tile's keys into p.
fn soften(r: u32, packed: u32, sequence: vec4u, kv_head: u32, base: u32, tile_end: u32) {
  let position = sequence.z - sequence.y + packed / GROUP;
  let first = first_visible(position);
  let end = end_visible(position, sequence.z);
  let before = largest[r];
  var most = before;
  for (var key = base; key < tile_end; key++) {
    let at = (key - base) * PARTS * ROWS + r;
    var score = 0.0;
    for (var part = 0u; part < PARTS; part++) {
      score += scores[at + part * ROWS];
    }
    if (BIAS_ROWS > 0u) {
      score += bias_of(kv_head * GROUP + packed % GROUP, position, key) * LOG2_E;
    }
    score = select(NEVER, score, key >= first && key < end);
    most = max(most, score);
    scores[at] = score;
  }
  let factor = exp2(before - most);
  var total = sum[r] * factor;
  for (var key = base; key < tile_end; key++) {
    let at = (key - base) * PARTS * ROWS + r;
    let score = scores[at];
    let p = select(0.0, exp2(score - most), score > NEVER);
    total += p;
    scores[at] = p;
  }
  largest[r] = most;
  sum[r] = total;
  rescale[r] = factor;
}

// Keys that nobody sees are zero: their pages may already hold something else.
fn stage_keys(base: u32, span: Span, thread: u32) {
  let j = thread % KEYS;
  let position = base + j;
  let is_seen = position >= span.begin && position < span.end;
  var at = 0u;
  var scale = 1.0;
  if (is_seen) {
    let page = page_of(span.sequence, position);
    at = key_index(page, span.kv_head, 0u, position);
    scale = key_scale(at);
    if (thread < KEYS) {
      let value_at = value_index(page, span.kv_head, 0u, position);
      value_rows[j] = value_at;
      value_scales[j] = value_scale(value_at);
    }
  }
  for (var d4 = thread / KEYS; d4 < ROW4; d4 += THREADS / KEYS) {
    var key = vec4f();
    if (is_seen && d4 < HEAD_DIM4) {
      key = kv_load(keys[at + d4 * PAGE]) * scale;
    }
    tile[d4 * KEYS + j] = key;
  }
}

fn stage_values(base: u32, span: Span, thread: u32) {
  for (var i = thread; i < KEYS * ROW4; i += THREADS) {
    let position = base + i / ROW4;
    let d4 = i % ROW4;
    var value = vec4f();
    if (position >= span.begin && position < span.end && d4 < HEAD_DIM4) {
      value = kv_load(values[value_rows[i / ROW4] + d4]) * value_scales[i / ROW4];
    }
    tile[i] = value;
  }
}
