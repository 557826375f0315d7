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
// any of them sees, KEYS at a time, with an online softmax; no matrix of scores exists. PARTS threads share a row: each
// holds PART4 vec4s of its query and of its output, and their partial scores meet in workgroup memory.
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
const THREADS: u32 = ROWS * PARTS;
const PART4: u32 = (HEAD_DIM4 + PARTS - 1u) / PARTS;
const ROW4: u32 = PART4 * PARTS;
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

// A tile of keys [ROW4, KEYS], then of values [KEYS, ROW4]: each in the order of the cache.
var<workgroup> tile: array<vec4f, KEYS * ROW4>;
// Each thread's part of its row's scores: [KEYS, PARTS, ROWS].
var<workgroup> scores: array<f32, KEYS * THREADS>;

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

  let part = thread / ROWS;
  let packed = work.y + thread % ROWS;
  let is_row = packed < sequence.y * GROUP;
  let query = min(packed / GROUP, sequence.y - 1u);
  let head = group.y * GROUP + packed % GROUP;
  let row = (sequence.x + query) * HEADS + head;
  let position = context + query;
  let first = first_visible(position);
  let end = end_visible(position, sequence.z);

  var q: array<vec4f, PART4>;
  var o: array<vec4f, PART4>;
  for (var i = 0u; i < PART4; i++) {
    let d4 = part * PART4 + i;
    if (is_row && d4 < HEAD_DIM4) {
      q[i] = queries[row * HEAD_DIM4 + d4] * (SCALE * LOG2_E);
    }
  }

  var largest = NEVER;
  var sum = 0.0;
  for (var base = span.begin / KEYS * KEYS; base < span.end; base += KEYS) {
    let tile_end = min(base + KEYS, span.end);
    workgroupBarrier();
    stage_keys(base, span, thread);
    workgroupBarrier();

    // Not counted from 0 to at most KEYS: Mesa's llvmpipe would unroll these loops and compile them for seconds.
    for (var key = base; key < tile_end; key++) {
      let j = key - base;
      var score = vec4f();
      for (var i = 0u; i < PART4; i++) {
        score += q[i] * tile[(part * PART4 + i) * KEYS + j];
      }
      var partial = dot(score, vec4f(1.0));
      if (BIAS_ROWS > 0u && part == 0u) {
        partial += bias_of(head, position, key) * LOG2_E;
      }
      scores[j * THREADS + thread] = partial;
    }
    workgroupBarrier();

    stage_values(base, span, thread);
    let before = largest;
    for (var key = base; key < tile_end; key++) {
      if (sees(first, end, key)) {
        largest = max(largest, whole_score(key - base, thread));
      }
    }
    let rescale = exp2(before - largest);
    sum *= rescale;
    for (var i = 0u; i < PART4; i++) {
      o[i] *= rescale;
    }
    workgroupBarrier();

    for (var key = base; key < tile_end; key++) {
      if (sees(first, end, key)) {
        let p = exp2(whole_score(key - base, thread) - largest);
        sum += p;
        for (var i = 0u; i < PART4; i++) {
          o[i] += p * tile[(key - base) * ROW4 + part * PART4 + i];
        }
      }
    }
  }

  if (is_row) {
    let scale = select(0.0, 1.0 / sum, sum > 0.0);
    for (var i = 0u; i < PART4; i++) {
      let y = o[i] * scale;
      for (var c = 0u; c < 4u; c++) {
        let d = (part * PART4 + i) * 4u + c;
        if (d < HEAD_DIM) {
          out[row * HEAD_DIM + d] = y[c];
        }
      }
    }
  }
}

// Score of this thread's row with key j of the tile.
fn whole_score(j: u32, thread: u32) -> f32 {
  var score = 0.0;
  for (var part = 0u; part < PARTS; part++) {
    score += scores[j * THREADS + part * ROWS + thread % ROWS];
  }
  return score;
}

fn sees(first: u32, end: u32, key: u32) -> bool {
  return key >= first && key < end;
}

// Keys that nobody sees are zero: their pages may already hold something else.
fn stage_keys(base: u32, span: Span, thread: u32) {
  for (var i = thread; i < KEYS * ROW4; i += THREADS) {
    let position = base + i % KEYS;
    let d4 = i / KEYS;
    var key = vec4f();
    if (position >= span.begin && position < span.end && d4 < HEAD_DIM4) {
      key = kv_load(keys[key_index(page_of(span.sequence, position), span.kv_head, d4, position)]);
    }
    tile[i] = key;
  }
}

fn stage_values(base: u32, span: Span, thread: u32) {
  for (var i = thread; i < KEYS * ROW4; i += THREADS) {
    let position = base + i / ROW4;
    let d4 = i % ROW4;
    var value = vec4f();
    if (position >= span.begin && position < span.end && d4 < HEAD_DIM4) {
      value = kv_load(values[value_index(page_of(span.sequence, position), span.kv_head, d4, position)]);
    }
    tile[i] = value;
  }
}
