// fill_random: fills memory with made-up weights, always the same for a seed
//
//   out[i] = base + spread · u,  u uniform in [-1, 1) by a hash of seed and i
//
//   order  (seed, kind, base as bits of f32, spread as bits of f32); of bits, base and spread do not matter
//   out    [words]
//   grid   as many workgroups as cover the words, in rows of any length
//
// The hash is PCG-RXS-M-XS: Jarzynski and Olano 2020, "Hash Functions for GPU Rendering", https://jcgt.org/published/0009/03/02/

// Kinds, by their index in FILL_KINDS of src/kernels/fill_random.ts.
const F32: u32 = 0u;
const F16: u32 = 1u;
const BF16: u32 = 2u;

// Specialized by src/kernels/fill_random.ts.
const WORKGROUP: u32 = 256u;

@group(0) @binding(0) var<storage, read> order: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

fn hash(input: u32) -> u32 {
  let state = input * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

fn value(bits: u32) -> f32 {
  let unit = f32(bits >> 8u) * 0x1p-23 - 1.0;
  return bitcast<f32>(order[2]) + bitcast<f32>(order[3]) * unit;
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = (group.y * groups.x + group.x) * WORKGROUP + thread;
  if (i >= arrayLength(&out)) {
    return;
  }
  let first = hash(i ^ hash(order[0]));
  let second = hash(first);
  let kind = order[1];
  if (kind == F32) {
    out[i] = bitcast<u32>(value(first));
  } else if (kind == F16) {
    out[i] = pack2x16float(vec2f(value(first), value(second)));
  } else if (kind == BF16) {
    out[i] = (bitcast<u32>(value(first)) >> 16u) | (bitcast<u32>(value(second)) & 0xffff0000u);
  } else {
    out[i] = first;
  }
}
