// Weights stored as f16, two to a word. Contract in weight_f32.wgsl.
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 2u;

fn weight1(stored: Weight1, i: u32) -> f32 {
  return unpack2x16float(stored)[i % 2u];
}

fn weight_scale(i: u32) -> f32 {
  return 1.0;
}
