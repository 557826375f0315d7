// Integers of the form q4: 4 bits, in the order of src/kernels/matrix.ts.
// Contract of the fit_*.wgsl files: integers from LOWEST to HIGHEST; GROUP_VECTORS vec4s of words hold a group;
// `packed` is vec4 `i` of them. REACHES scales are tried on either side, by the integer that the value farthest from 0
// would become if it were not cut off: FIRST_REACH + i · REACH_STEP, no round numbers since then quotients of weights with few
// digits would lie in the middle between integers.
const LOWEST: f32 = -8.0;
const HIGHEST: f32 = 7.0;
const FIRST_REACH: f32 = 6.03;
const REACH_STEP: f32 = 0.25;
const REACHES: u32 = 13u;
const GROUP_VECTORS: u32 = 1u;

fn packed(q: array<vec4f, 8>, i: u32) -> vec4u {
  return vec4u(word(q[0], q[1]), word(q[2], q[3]), word(q[4], q[5]), word(q[6], q[7]));
}

fn word(low: vec4f, high: vec4f) -> u32 {
  return pack4xU8(vec4u(low + 8.0)) | (pack4xU8(vec4u(high + 8.0)) << 4u);
}
