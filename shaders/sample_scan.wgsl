// sample_scan: z = penalized(logits) + bias, and what each chunk of the vocabulary adds to the row's maxima
//
//   repetition  l > 0: l / r   else l * r       for tokens of the prompt and generated ones
//   frequency   l - f * times generated
//   presence    l - p                           for generated tokens
//
//   logits   [rows, VOCAB] f32; left as it is: log-probabilities are of the model's own distribution
//   history  [slots, VOCAB] u32: bit 31 = in the prompt, the rest = times generated
//   bias_tokens, bias_values   sparse logit bias; each row has a range of it, with distinct tokens
//   z        [rows, QUADS, 4] f32 in ±MOST, the last quad filled up with PAD; rows with temperature 0 have none
//   partials [rows, CHUNKS] (max z, its lowest token, max logit, sum exp(logit - max logit)); the last two only
//            for rows that want log-probabilities
//   grid     (CHUNKS, rows)
//
// Repetition: Keskar et al. 2019, arXiv:1909.05858, sec. 4.1, the sign rule as in Hugging Face Transformers.
// Frequency and presence: OpenAI API reference, "frequency_penalty", "presence_penalty".

// Specialized by src/kernels/sample.ts.
const VOCAB: u32 = 5000u;
const CHUNK: u32 = 2048u;
const WORKGROUP: u32 = 256u;

const CHUNKS: u32 = (VOCAB + CHUNK - 1u) / CHUNK;
const QUADS: u32 = (VOCAB + 3u) / 4u;

// Keeps a difference of two z finite whatever the bias; PAD is below every token.
const MOST: f32 = 1e30;
const PAD: f32 = -2e30;

//!include REDUCE lib/reduce_tree.wgsl
//!include lib/block_best.wgsl
//!include lib/sample_row.wgsl

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> bias_tokens: array<u32>;
@group(0) @binding(3) var<storage, read> bias_values: array<f32>;
@group(0) @binding(4) var<storage, read> history: array<u32>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec4f>;

// What the token's history in this request does to its logit.
fn penalized(logit: f32, row: u32, token: u32) -> f32 {
  let past = history[row_u32(row, SLOT) * VOCAB + token];
  let times = past & 0x7fffffffu;
  let repetition = row_f32(row, REPETITION_PENALTY);
  let seen = select(logit * repetition, logit / repetition, logit > 0.0);
  return select(logit, seen, past != 0u)
    - row_f32(row, FREQUENCY_PENALTY) * f32(times)
    - select(0.0, row_f32(row, PRESENCE_PENALTY), times > 0u);
}

// The lists are short: reading one for each token costs less than workgroup memory to scatter it into.
fn bias_of(row: u32, token: u32) -> f32 {
  let start = row_u32(row, BIAS_START);
  var bias = 0.0;
  for (var b = start; b < start + row_u32(row, BIAS_COUNT); b++) {
    if (bias_tokens[b] == token) {
      bias += bias_values[b];
    }
  }
  return bias;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.y;
  let first = group.x * CHUNK;
  let length = min(CHUNK, VOCAB - first);
  let start = row * VOCAB + first;
  let keeps_history = row_has(row, KEEPS_HISTORY);
  let is_random = row_f32(row, TEMPERATURE) > 0.0;
  var mine = Best(PAD, 0u);
  for (var i = 4u * lane.thread; i < length; i += 4u * WORKGROUP) {
    var quad = vec4f(PAD);
    for (var j = 0u; j < min(4u, length - i); j++) {
      var value = logits[start + i + j];
      if (keeps_history) {
        value = penalized(value, row, first + i + j);
      }
      value = clamp(value + bias_of(row, first + i + j), -MOST, MOST);
      quad[j] = value;
      if (value > mine.value) {
        mine = Best(value, first + i + j);
      }
    }
    if (is_random) {
      z[row * QUADS + (first + i) / 4u] = quad;
    }
  }
  let best = block_best(mine, lane);

  var largest = 0.0;
  var sum = 0.0;
  if ((rows[row * ROW_WORDS + FLAGS] & WANTS_LOGPROBS) != 0u) {
    var my_largest = -3e38;
    for (var i = lane.thread; i < length; i += WORKGROUP) {
      my_largest = max(my_largest, logits[start + i]);
    }
    largest = block_max(my_largest, lane);
    var my_sum = 0.0;
    for (var i = lane.thread; i < length; i += WORKGROUP) {
      my_sum += exp(max(logits[start + i] - largest, -80.0));
    }
    sum = block_sum(my_sum, lane);
  }
  if (lane.thread == 0u) {
    partials[row * CHUNKS + group.x] = vec4f(best.value, f32(best.id), largest, sum);
  }
}
