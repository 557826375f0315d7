// disentangled_direct: DeBERTa's attention over whole sequences, one thread per query and head
//
//   out[i, h] = sum_j p[j] v[j] / sum_j p[j],   p[j] = exp(SCALE * (<q[i], k[j]> + <q[i], pk[r]> + <k[j], pq[r]>))
//
// over all keys j of the query's sequence, r = distance_rows[REACH + clamp(i - j, -REACH, REACH)].
//
//   qkv               [T, 3, HEADS, HEAD_DIM] f32: queries, keys, values
//   position_keys     [rows, HEADS, HEAD_DIM] f32: pk, unless HAS_KEYS is false
//   position_queries  [rows, HEADS, HEAD_DIM] f32: pq, unless HAS_QUERIES is false
//   distance_rows     [2 REACH + 1] u32: row of each distance i - j from -REACH on
//   sequence_of       [T] u32
//   sequences         [S] (first row, tokens, unused, unused)
//   out               [T, HEADS * HEAD_DIM] f32
//   grid              (HEADS / WORKGROUP, T)
//
// The readable kernel: oracle of disentangled_tile. The fast one on devices with slow barriers.
//
// He et al. 2020, DeBERTa, arXiv:2006.03654, eq. 4; Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3.

// Specialized by src/kernels/disentangled_attention.ts.
const HEADS: u32 = 2u;
const HEAD_DIM: u32 = 10u;
const SCALE: f32 = 0.125;
const REACH: u32 = 8u;
const HAS_KEYS: bool = true;
const HAS_QUERIES: bool = true;
const WORKGROUP: u32 = 4u;

@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> position_keys: array<f32>;
@group(0) @binding(2) var<storage, read> position_queries: array<f32>;
@group(0) @binding(3) var<storage, read> distance_rows: array<u32>;
@group(0) @binding(4) var<storage, read> sequence_of: array<u32>;
@group(0) @binding(5) var<storage, read> sequences: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const DIM: u32 = HEADS * HEAD_DIM;
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
  let sequence = sequences[sequence_of[token]];
  let query = 3u * DIM * token + head * HEAD_DIM;

  var o: array<f32, HEAD_DIM>;
  var largest = NEVER;
  var sum = 0.0;
  for (var other = sequence.x; other < sequence.x + sequence.y; other++) {
    let key = 3u * DIM * other + DIM + head * HEAD_DIM;
    let position = DIM * position_row(i32(token) - i32(other)) + head * HEAD_DIM;
    var score = 0.0;
    for (var d = 0u; d < HEAD_DIM; d++) {
      let q = qkv[query + d];
      let k = qkv[key + d];
      score += q * k;
      if (HAS_KEYS) {
        score += q * position_keys[position + d];
      }
      if (HAS_QUERIES) {
        score += k * position_queries[position + d];
      }
    }
    score *= SCALE;

    let before = largest;
    largest = max(largest, score);
    let rescale = exp(before - largest);
    let p = exp(score - largest);
    sum = sum * rescale + p;
    for (var d = 0u; d < HEAD_DIM; d++) {
      o[d] = o[d] * rescale + p * qkv[key + DIM + d];
    }
  }

  for (var d = 0u; d < HEAD_DIM; d++) {
    out[DIM * token + head * HEAD_DIM + d] = o[d] / sum;
  }
}

fn position_row(distance: i32) -> u32 {
  return distance_rows[u32(clamp(distance, -i32(REACH), i32(REACH)) + i32(REACH))];
}
