// narrow: weights to f16, rounded to nearest
//
//   order    (pairs, first pair in source, first pair in the target, number of the tensor)
//   source   [elements], a whole number of pairs
//   values   f16 pairs of a shard
//   fault    the largest number + 1 of a tensor with a value that f16 does not hold, else 0
//   grid     one thread per pair

// Specialized by src/kernels/convert_weights.ts.
const WORKGROUP: u32 = 64u;

//!include BLOCK lib/block_f32.wgsl
//!include lib/half.wgsl

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<Block>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> fault: array<atomic<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= order[0]) {
    return;
  }
  let pair = order[1] + id.x;
  let four = block4(source[pair / (2u * BLOCK4)], pair / 2u % BLOCK4);
  let two = select(four.xy, four.zw, pair % 2u == 1u);
  let halves = vec2f(nearest_half(two.x), nearest_half(two.y));
  if (!is_finite(two.xyxy) || any(abs(halves) > vec2f(65504.0))) {
    atomicMax(&fault[0], order[3] + 1u);
    return;
  }
  values[order[2] + id.x] = half_bits(halves.x) | (half_bits(halves.y) << 16u);
}
