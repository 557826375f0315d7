// quantize: each 32 neighbours of a weight matrix to integers and the scale that loses least
//
//   min over s of Σ (w − s · q)²,  q = clamp(round(w / s), LOWEST, HIGHEST),  s an f16 of either sign
//
//   order    (groups, first group in source, first group in the target, number of the tensor)
//   source   [elements], a whole number of groups
//   values   integers of a shard, as src/kernels/matrix.ts says
//   scales   f16 of a shard, zeros before
//   fault    the largest number + 1 of a tensor with a value that is not finite or too large, else 0
//   grid     one thread per group
//
// Least squares is not convex in s, so scales are tried: those that make the value farthest from 0 an integer near an
// end, on either side. Of each, the integers give the best scale for themselves, Σ wq / Σ qq, and that one's loss decides;
// as in make_qx_quants of llama.cpp, https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c, but
// for the two sides, and that the loss is of the scale as it is stored.

// Specialized by src/kernels/convert_weights.ts.
const WORKGROUP: u32 = 64u;

//!include BLOCK lib/block_f32.wgsl
//!include FIT lib/fit_q4.wgsl
//!include lib/half.wgsl

const GROUP4: u32 = 8u;
const LARGEST_SCALE: f32 = 65504.0;

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<Block>;
@group(0) @binding(2) var<storage, read_write> values: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> scales: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> fault: array<atomic<u32>>;

var<private> w: array<vec4f, GROUP4>;

fn integers(i: u32, inverse: f32) -> vec4f {
  return clamp(round(w[i] * inverse), vec4f(LOWEST), vec4f(HIGHEST));
}

// The scale that suits the integers which `scale` gives.
fn refit(scale: f32) -> f32 {
  let inverse = 1.0 / scale;
  var wq = vec4f();
  var qq = vec4f();
  for (var i = 0u; i < GROUP4; i += 1u) {
    let q = integers(i, inverse);
    wq += w[i] * q;
    qq += q * q;
  }
  let total = dot(qq, vec4f(1.0));
  return clamp(dot(wq, vec4f(1.0)) / max(total, 1.0), -LARGEST_SCALE, LARGEST_SCALE);
}

fn loss(scale: f32) -> f32 {
  let inverse = 1.0 / scale;
  var sum = vec4f();
  for (var i = 0u; i < GROUP4; i += 1u) {
    let rest = w[i] - scale * integers(i, inverse);
    sum += rest * rest;
  }
  return dot(sum, vec4f(1.0));
}

fn best_scale(farthest: f32) -> f32 {
  if (abs(farthest) < 0x1p-25) {
    return 0.0; // no f16 is nearer
  }
  var best = 0.0;
  var least = 0x1p127;
  for (var trial = 0u; trial < 2u * REACHES; trial += 1u) {
    let reach = FIRST_REACH + f32(trial >> 1u) * REACH_STEP;
    let scale = nearest_half(refit(select(farthest, -farthest, (trial & 1u) == 0u) / reach));
    if (scale != 0.0) {
      let lost = loss(scale);
      if (lost < least) {
        least = lost;
        best = scale;
      }
    }
  }
  return best;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= order[0]) {
    return;
  }
  let first = (order[1] + id.x) * GROUP4;
  var farthest = 0.0;
  var are_finite = true;
  for (var i = 0u; i < GROUP4; i += 1u) {
    let values4 = block4(source[(first + i) / BLOCK4], (first + i) % BLOCK4);
    w[i] = values4;
    are_finite = are_finite && is_finite(values4);
    let high = max(max(values4.x, values4.y), max(values4.z, values4.w));
    let low = min(min(values4.x, values4.y), min(values4.z, values4.w));
    let far = select(low, high, high >= -low);
    farthest = select(farthest, far, abs(far) > abs(farthest));
  }
  if (!are_finite || abs(farthest) > LARGEST_SCALE * HIGHEST) {
    atomicMax(&fault[0], order[3] + 1u);
    return;
  }

  let scale = best_scale(farthest);
  let inverse = select(0.0, 1.0 / scale, scale != 0.0);
  var q = array<vec4f, GROUP4>();
  for (var i = 0u; i < GROUP4; i += 1u) {
    q[i] = integers(i, inverse);
  }
  let group = order[2] + id.x;
  for (var i = 0u; i < GROUP_VECTORS; i += 1u) {
    values[group * GROUP_VECTORS + i] = packed(q, i);
  }
  // Two groups share a word, and may be of different tensors.
  atomicOr(&scales[group / 2u], half_bits(scale) << (16u * (group % 2u)));
}
