// Parameters of one row of a beam search as src/kernels/beam_candidates.ts encodes them, and what rules make of scores.
// A kernel that includes this file has the slots CHUNK and WORKGROUP, includes reduce_*.wgsl and declares:
//   @group(0) @binding(N) var<storage, read> rows: array<u32>;
//   @group(0) @binding(N) var<storage, read> rule_tokens: array<u32>;
//   @group(0) @binding(N) var<storage, read> rule_factors: array<f32>;

const ROW_WORDS: u32 = 4u;
const COUNT: u32 = 0u;
const RULE_START: u32 = 1u;
const RULE_COUNT: u32 = 2u;
const RENORMALIZES: u32 = 3u;

// Factors of a chunk's tokens that have no rule, and those that forbid.
const NO_RULE: f32 = -1.0;
const FORBIDS: f32 = 1e30;

// Bounds of logits and of other factors: a product of the largest is above FORBIDDEN.
const MOST_LOGIT: f32 = 1e29;
const MOST_FACTOR: f32 = 1e7;

// Scores of forbidden tokens, and of no token at all.
const FORBIDDEN: f32 = -3.4e38;
const NONE: f32 = -3.402e38;

var<workgroup> factors: array<f32, CHUNK>;

fn row_u32(row: u32, word: u32) -> u32 {
  return rows[row * ROW_WORDS + word];
}

// Fills `factors` for the tokens from `first` on. Must be called from uniform control flow.
fn load_rules(row: u32, first: u32, lane: Lane) {
  for (var i = lane.thread; i < CHUNK; i += WORKGROUP) {
    factors[i] = NO_RULE;
  }
  workgroupBarrier();
  let start = row_u32(row, RULE_START);
  for (var i = start + lane.thread; i < start + row_u32(row, RULE_COUNT); i += WORKGROUP) {
    let token = rule_tokens[i];
    if (token >= first && token - first < CHUNK) {
      factors[token - first] = rule_factors[i];
    }
  }
  workgroupBarrier();
}

fn bounded(logit: f32) -> f32 {
  return clamp(logit, -MOST_LOGIT, MOST_LOGIT);
}

fn ruled(logprob: f32, factor: f32) -> f32 {
  let score = logprob * select(min(factor, MOST_FACTOR), 1.0, factor == NO_RULE);
  return select(score, FORBIDDEN, factor >= FORBIDS);
}
