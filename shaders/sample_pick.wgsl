// sample_pick: chooses each row's next token from z, the penalized and biased logits
//
//   temperature 0   argmax z; of equal values the lowest token
//   else            token i with probability proportional to w_i = exp((z_i - max z) / temperature) among those
//                   with z_i >= the largest of three thresholds
//     top-k   the k-th largest z, ties kept                                  Fan et al. 2018, arXiv:1805.04833
//     top-p   the largest t with sum {w : z >= t} >= p * sum {w : top-k}     Holtzman et al. 2020, arXiv:1904.09751
//     min-p   max z + temperature * ln(min-p)                                Nguyen et al. 2024, arXiv:2407.01082
//
// The draw is an exponential race: the token with the largest w_i / e_i, e_i exponential, wins with probability
// w_i / sum w (the Gumbel-max trick without its logarithms; Maddison et al. 2014, arXiv:1411.0030). e_i is a hash of
// (seed, position, token), so neither the batch nor the tokens left out change it.
//
// Thresholds are found by bisection over floats in the order of their bits, PIVOTS at a time. Sums of the same
// numbers in the same order round monotonically, so a larger t never has a larger computed mass.
//
//   z, partials   from sample_scan
//   results  [rows, RESULT_WORDS] u32: the token, 0, and the rest left as it was
//   history  [slots, VOCAB] u32: the token's count goes up, for rows that keep history
//   last_tokens  [slots] u32: the token, for the embedding of the next step
//   grid     one workgroup per row

// Specialized by src/kernels/sample.ts.
const VOCAB: u32 = 5000u;
const CHUNK: u32 = 2048u;
const WORKGROUP: u32 = 256u;

const CHUNKS: u32 = (VOCAB + CHUNK - 1u) / CHUNK;
const QUADS: u32 = (VOCAB + 3u) / 4u;
const PIVOTS: u32 = 8u;

// z lies in ±1e30 and the padding of the last quad at -2e30.
const LEAST: f32 = -1.5e30;

// Tokens this many temperatures below the best have less weight, all together, than the best one's rounding.
const NEGLIGIBLE: f32 = 64.0;

//!include REDUCE lib/reduce_tree.wgsl
//!include lib/block_best.wgsl
//!include lib/exponential.wgsl
//!include lib/sample_row.wgsl

@group(0) @binding(0) var<storage, read> z: array<vec4f>;
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> results: array<u32>;
@group(0) @binding(4) var<storage, read_write> history: array<u32>;
@group(0) @binding(5) var<storage, read_write> last_tokens: array<u32>;

// A row's distribution: where its z begin, the largest z, the temperature.
struct Spread {
  first: u32,
  largest: f32,
  temperature: f32,
}

// Of the search: low, high, whether it is over.
var<workgroup> bracket: vec3u;

fn weight_of(value: f32, spread: Spread) -> f32 {
  return exp((value - spread.largest) / spread.temperature);
}

// Order-preserving keys: a < b as floats exactly when key_of(a) < key_of(b).
fn key_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn value_of(keys: vec4u) -> vec4f {
  return bitcast<vec4f>(select(~keys, keys & vec4u(0x7fffffffu), keys >= vec4u(0x80000000u)));
}

// How many tokens have z >= each pivot (first two vectors), and the sum of their weights (last two). Pivots ascend.
fn tally(spread: Spread, lower: vec4f, upper: vec4f, lane: Lane) -> array<vec4f, 4> {
  var sums = array<vec4f, 4>();
  for (var i = lane.thread; i < QUADS; i += WORKGROUP) {
    let quad = z[spread.first + i];
    for (var j = 0u; j < 4u; j++) {
      let value = quad[j];
      if (value >= lower.x) {
        let weight = vec4f(weight_of(value, spread));
        let is_over_lower = vec4f(value) >= lower;
        let is_over_upper = vec4f(value) >= upper;
        sums[0] += select(vec4f(0.0), vec4f(1.0), is_over_lower);
        sums[1] += select(vec4f(0.0), vec4f(1.0), is_over_upper);
        sums[2] += select(vec4f(0.0), weight, is_over_lower);
        sums[3] += select(vec4f(0.0), weight, is_over_upper);
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    sums[i] = block_sum4(sums[i], lane);
  }
  return sums;
}

// The largest key whose tokens z >= key reach the goal: `limit` tokens, or the share `limit` of the mass from
// `lowest` on. At least `lowest`, at most the key of the largest z; of keys with no token between them, any.
fn threshold(spread: Spread, lowest: u32, limit: f32, is_mass: bool, lane: Lane) -> u32 {
  // Tokens from `low` on reach the goal (or `low` is `lowest`), tokens from `high` on do not.
  var low = lowest;
  var high = key_of(spread.largest) + 1u;
  var high_count = 0.0;
  var goal = -1.0;
  let measure = select(0u, 2u, is_mass);
  loop {
    let step = max((high - low) / PIVOTS, 1u);
    let last = high - 1u;
    let lower = min(low + step * vec4u(0u, 1u, 2u, 3u), vec4u(last));
    let upper = min(low + step * vec4u(4u, 5u, 6u, 7u), vec4u(last));
    var sums = tally(spread, value_of(lower), value_of(upper), lane);
    if (goal < 0.0) {
      goal = select(limit, limit * sums[2].x, is_mass);
    }
    var reached = 0u;
    for (var i = 1u; i < PIVOTS; i++) {
      reached += select(0u, 1u, sums[measure + i / 4u][i % 4u] >= goal);
    }
    let next = reached + 1u;
    if (next < PIVOTS) {
      high = min(low + step * next, last);
      high_count = sums[next / 4u][next % 4u];
    }
    low = min(low + step * reached, last);
    let low_count = sums[reached / 4u][reached % 4u];
    let is_met = sums[measure + reached / 4u][reached % 4u] <= goal;
    let is_found = is_met || high - low <= 1u || low_count - high_count <= 1.0;
    // All threads know the same, but the compiler must see that they leave the loop together.
    if (lane.thread == 0u) {
      bracket = vec3u(low, high, u32(is_found));
    }
    if (workgroupUniformLoad(&bracket).z != 0u) {
      break;
    }
  }
  return low;
}

// The least z that may be drawn.
fn least_kept(row: u32, spread: Spread, lane: Lane) -> f32 {
  var low = key_of(max(spread.largest - NEGLIGIBLE * spread.temperature, LEAST));
  let top_k = row_u32(row, TOP_K);
  let top_p = row_f32(row, TOP_P);
  // One loop, so that the search is compiled once.
  for (var rule = 0u; rule < 2u; rule++) {
    let is_mass = rule == 1u;
    if (select(top_k > 0u && top_k < VOCAB, top_p < 1.0, is_mass)) {
      low = threshold(spread, low, select(f32(top_k), top_p, is_mass), is_mass, lane);
    }
  }
  let min_p = spread.largest + spread.temperature * log(max(row_f32(row, MIN_P), 1e-28));
  return max(value_of(vec4u(low)).x, min(min_p, spread.largest));
}

fn draw(row: u32, spread: Spread, least: f32, lane: Lane) -> u32 {
  let seed = vec2u(row_u32(row, SEED_LOW), row_u32(row, SEED_HIGH));
  let position = row_u32(row, POSITION);
  var mine = Best(0.0, 0u);
  for (var i = lane.thread; i < QUADS; i += WORKGROUP) {
    let quad = z[spread.first + i];
    for (var j = 0u; j < 4u; j++) {
      if (quad[j] >= least) {
        let token = 4u * i + j;
        let score = weight_of(quad[j], spread) / exponential(pcg4d(vec4u(seed, position, token)).w);
        if (score > mine.value) {
          mine = Best(score, token);
        }
      }
    }
  }
  return block_best(mine, lane).id;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x;
  var mine = Best(LEAST, 0u);
  for (var i = lane.thread; i < CHUNKS; i += WORKGROUP) {
    let chunk = partials[row * CHUNKS + i];
    if (chunk.x > mine.value) {
      mine = Best(chunk.x, u32(chunk.y));
    }
  }
  let best = block_best(mine, lane);

  var token = best.id;
  let temperature = row_f32(row, TEMPERATURE);
  if (temperature > 0.0) {
    let spread = Spread(row * QUADS, best.value, clamp(temperature, 1e-6, 1e6));
    token = draw(row, spread, least_kept(row, spread, lane), lane);
  }

  if (lane.thread == 0u) {
    let slot = row_u32(row, SLOT);
    results[row * RESULT_WORDS] = token;
    results[row * RESULT_WORDS + 1u] = 0u;
    last_tokens[slot] = token;
    if (row_has(row, KEEPS_HISTORY)) {
      history[slot * VOCAB + token] += 1u;
    }
  }
}
