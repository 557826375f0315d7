// Weights stored as bf16: the upper half of an f32. Contract in weight_f32.wgsl.
alias Weight4 = vec2u;
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 2u;

fn weight4(stored: Weight4) -> vec4f {
  return bitcast<vec4f>(vec4u(
    stored.x << 16u,
    stored.x & 0xffff0000u,
    stored.y << 16u,
    stored.y & 0xffff0000u,
  ));
}

fn weight1(stored: Weight1, i: u32) -> f32 {
  return bitcast<f32>(select(stored << 16u, stored & 0xffff0000u, i % 2u == 1u));
}
