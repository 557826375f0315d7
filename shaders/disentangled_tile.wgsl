// disentangled_tile: DeBERTa's attention over whole sequences of several tokens
//
//   out[i, h] = sum_j p[j] v[j] / sum_j p[j],   p[j] = exp(SCALE * (<q[i], k[j]> + <q[i], pk[r]> + <k[j], pq[r]>))
//
// over all keys j of the query's sequence, r = distance_rows[REACH + clamp(i - j, -REACH, REACH)].
//
//   qkv               [T, 3, HEADS, HEAD_DIM] f32: queries, keys, values
//   position_keys     [rows, HEADS, HEAD_DIM] f32: pk, unless HAS_KEYS is false
//   position_queries  [rows, HEADS, HEAD_DIM] f32: pq, unless HAS_QUERIES is false
//   distance_rows     [2 REACH + 1] u32: row of each distance i - j from -REACH on
//   sequences         [S] (first row, tokens, unused, unused)
//   tiles             [tiles] (sequence, its first token in the tile)
//   out               [T, HEADS * HEAD_DIM] f32
//   grid              (tiles, HEADS)
//
// A workgroup takes ROWS queries and walks over the keys, KEYS at a time, with an online softmax. Among ROWS queries and
// KEYS keys there are DISTANCES distances, so a tile needs as many rows of pk and pq, not one for each pair. They are
// staged SLICE vec4s of each vector at a time. PARTS threads share a query: each scores some of the keys, and sums some
// dims of the values.
//
// Tiles begin at multiples of ROWS and of KEYS within a sequence: the result does not depend on the rest of the step.
//
// He et al. 2020, DeBERTa, arXiv:2006.03654, eq. 4; Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3.

// Specialized by src/kernels/disentangled_attention.ts.
const HEADS: u32 = 2u;
const HEAD_DIM: u32 = 42u;
const SCALE: f32 = 0.125;
const REACH: u32 = 8u;
const HAS_KEYS: bool = true;
const HAS_QUERIES: bool = true;
const ROWS: u32 = 64u;
const PARTS: u32 = 2u;
const KEYS: u32 = 16u;
const SLICE: u32 = 4u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> position_keys: array<f32>;
@group(0) @binding(2) var<storage, read> position_queries: array<f32>;
@group(0) @binding(3) var<storage, read> distance_rows: array<u32>;
@group(0) @binding(4) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(5) var<storage, read> tiles: array<vec2u>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const DIM: u32 = HEADS * HEAD_DIM;
const HEAD_DIM4: u32 = (HEAD_DIM + 3u) / 4u;
const THREADS: u32 = ROWS * PARTS;
const PART4: u32 = (HEAD_DIM4 + PARTS - 1u) / PARTS;
const ROW4: u32 = PART4 * PARTS;
const DISTANCES: u32 = ROWS + KEYS - 1u;
const LOG2_E: f32 = 1.4426950408889634;
const NEVER: f32 = -1e30;

// First a slice of keys [SLICE, KEYS], then of pk and of pq [SLICE, DISTANCES], then values [KEYS, ROW4].
var<workgroup> stage: array<vec4f, max(SLICE * (KEYS + 2u * DISTANCES), KEYS * ROW4)>;
const STAGED_PK: u32 = SLICE * KEYS;
const STAGED_PQ: u32 = STAGED_PK + SLICE * DISTANCES;
// [KEYS, ROWS]
var<workgroup> scores: array<f32, KEYS * ROWS>;

struct Place {
  first_row: u32,
  tokens: u32,
  head: u32,
  // Token of the sequence that is the first row of the tile.
  first_query: u32,
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let work = tiles[group.x];
  let sequence = sequences[work.x];
  let place = Place(sequence.x, sequence.y, group.y, work.y);
  let part = thread / ROWS;
  let row = thread % ROWS;
  let token = sequence.x + min(work.y + row, sequence.y - 1u);
  let query = 3u * DIM * token + group.y * HEAD_DIM;

  var o: array<vec4f, PART4>;
  var largest = NEVER;
  var sum = 0.0;
  for (var base = 0u; base < sequence.y; base += KEYS) {
    let count = min(KEYS, sequence.y - base);
    for (var d4 = 0u; d4 < HEAD_DIM4; d4 += SLICE) {
      workgroupBarrier();
      stage_slice(base, d4, place, thread);
      workgroupBarrier();
      var q: array<vec4f, SLICE>;
      for (var i = 0u; i < SLICE; i++) {
        q[i] = content(query, d4 + i) * (SCALE * LOG2_E);
      }
      for (var j = part; j < count; j += PARTS) {
        // Distance of query and key, counted from that of the first query and the last key.
        let distance = row + KEYS - 1u - j;
        var score = vec4f();
        for (var i = 0u; i < SLICE; i++) {
          let k = stage[i * KEYS + j];
          var against_q = k;
          if (HAS_KEYS) {
            against_q += stage[STAGED_PK + i * DISTANCES + distance];
          }
          score += q[i] * against_q;
          if (HAS_QUERIES) {
            score += k * stage[STAGED_PQ + i * DISTANCES + distance];
          }
        }
        let sum_before = select(0.0, scores[j * ROWS + row], d4 > 0u);
        scores[j * ROWS + row] = sum_before + dot(score, vec4f(1.0));
      }
    }
    workgroupBarrier();

    stage_values(base, place, thread);
    let before = largest;
    for (var j = 0u; j < count; j++) {
      largest = max(largest, scores[j * ROWS + row]);
    }
    let rescale = exp2(before - largest);
    sum *= rescale;
    for (var i = 0u; i < PART4; i++) {
      o[i] *= rescale;
    }
    workgroupBarrier();

    for (var j = 0u; j < count; j++) {
      let p = exp2(scores[j * ROWS + row] - largest);
      sum += p;
      for (var i = 0u; i < PART4; i++) {
        o[i] += p * stage[j * ROW4 + part * PART4 + i];
      }
    }
  }

  if (work.y + row < sequence.y) {
    for (var i = 0u; i < PART4; i++) {
      let y = o[i] / sum;
      for (var c = 0u; c < 4u; c++) {
        let d = (part * PART4 + i) * 4u + c;
        if (d < HEAD_DIM) {
          out[DIM * token + group.y * HEAD_DIM + d] = y[c];
        }
      }
    }
  }
}

// Keys and positions from vec4 `d4` of the head on; neighbouring threads read neighbouring memory.
fn stage_slice(base: u32, d4: u32, place: Place, thread: u32) {
  for (var i = thread; i < SLICE * KEYS; i += THREADS) {
    let key = min(base + i / SLICE, place.tokens - 1u);
    let at = 3u * DIM * (place.first_row + key) + DIM + place.head * HEAD_DIM;
    stage[i % SLICE * KEYS + i / SLICE] = content(at, d4 + i % SLICE);
  }
  let nearest = i32(place.first_query) - i32(base + KEYS - 1u);
  for (var i = thread; i < SLICE * DISTANCES; i += THREADS) {
    let distance = clamp(nearest + i32(i / SLICE), -i32(REACH), i32(REACH));
    let at = DIM * distance_rows[u32(distance + i32(REACH))] + place.head * HEAD_DIM;
    let to = i % SLICE * DISTANCES + i / SLICE;
    if (HAS_KEYS) {
      stage[STAGED_PK + to] = position_key(at, d4 + i % SLICE);
    }
    if (HAS_QUERIES) {
      stage[STAGED_PQ + to] = position_query(at, d4 + i % SLICE) * (SCALE * LOG2_E);
    }
  }
}

fn stage_values(base: u32, place: Place, thread: u32) {
  for (var i = thread; i < KEYS * ROW4; i += THREADS) {
    let key = min(base + i / ROW4, place.tokens - 1u);
    let at = 3u * DIM * (place.first_row + key) + 2u * DIM + place.head * HEAD_DIM;
    stage[i] = content(at, i % ROW4);
  }
}

// Four dims of a head that begins at `at`, with zeros after its end.

fn content(at: u32, d4: u32) -> vec4f {
  var four = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (4u * d4 + c < HEAD_DIM) {
      four[c] = qkv[at + 4u * d4 + c];
    }
  }
  return four;
}

fn position_key(at: u32, d4: u32) -> vec4f {
  var four = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (4u * d4 + c < HEAD_DIM) {
      four[c] = position_keys[at + 4u * d4 + c];
    }
  }
  return four;
}

fn position_query(at: u32, d4: u32) -> vec4f {
  var four = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (4u * d4 + c < HEAD_DIM) {
      four[c] = position_queries[at + 4u * d4 + c];
    }
  }
  return four;
}
