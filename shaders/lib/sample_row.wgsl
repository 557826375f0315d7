// Parameters of one sample row and the layout of its results, as src/kernels/sample.ts encodes them.
// A kernel that includes this file declares:
//   @group(0) @binding(N) var<storage, read> rows: array<u32>;

const ROW_WORDS: u32 = 16u;
const SLOT: u32 = 0u;
const TEMPERATURE: u32 = 1u;
const TOP_K: u32 = 2u;
const TOP_P: u32 = 3u;
const MIN_P: u32 = 4u;
const REPETITION_PENALTY: u32 = 5u;
const FREQUENCY_PENALTY: u32 = 6u;
const PRESENCE_PENALTY: u32 = 7u;
const SEED_LOW: u32 = 8u;
const SEED_HIGH: u32 = 9u;
const POSITION: u32 = 10u;
const BIAS_START: u32 = 11u;
const BIAS_COUNT: u32 = 12u;
const TOP_LOGPROBS: u32 = 13u;
const FLAGS: u32 = 14u;

const WANTS_LOGPROBS: u32 = 1u;
const KEEPS_HISTORY: u32 = 2u;

// The id, its log-probability, then pairs of the same for the most probable tokens.
const RESULT_WORDS: u32 = 42u;

fn row_u32(row: u32, word: u32) -> u32 {
  return rows[row * ROW_WORDS + word];
}

fn row_f32(row: u32, word: u32) -> f32 {
  return bitcast<f32>(rows[row * ROW_WORDS + word]);
}

fn row_has(row: u32, flag: u32) -> bool {
  return (rows[row * ROW_WORDS + FLAGS] & flag) != 0u;
}
