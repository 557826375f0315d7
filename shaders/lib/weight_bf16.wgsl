// Weights stored as bf16: the upper half of an f32. Contract in weight_f32.wgsl.
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 2u;

fn weight1(stored: Weight1, i: u32) -> f32 {
  return bitcast<f32>(select(stored << 16u, stored & 0xffff0000u, i % 2u == 1u));
}

fn weight_scale(i: u32) -> f32 {
  return 1.0;
}
