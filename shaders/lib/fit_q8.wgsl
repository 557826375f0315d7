// Integers of the form q8: 8 bits, in the order of src/kernels/matrix.ts. Contract in fit_q4.wgsl.
const LOWEST: f32 = -128.0;
const HIGHEST: f32 = 127.0;
const FIRST_REACH: f32 = 120.3;
const REACH_STEP: f32 = 1.0;
const REACHES: u32 = 9u;
const GROUP_VECTORS: u32 = 2u;

fn packed(q: array<vec4f, 8>, i: u32) -> vec4u {
  if (i == 0u) {
    return vec4u(word(q[0]), word(q[1]), word(q[2]), word(q[3]));
  }
  return vec4u(word(q[4]), word(q[5]), word(q[6]), word(q[7]));
}

fn word(q: vec4f) -> u32 {
  return pack4xI8(vec4i(q));
}
