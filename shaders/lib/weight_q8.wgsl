// Weights stored as 8-bit integers with a scale for every 32. Contract in weight_f32.wgsl, layout in src/kernels/matrix.ts.
//!include lib/scale.wgsl
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 4u;

fn weight1(stored: Weight1, i: u32) -> f32 {
  return f32(unpack4xI8(stored)[i % 4u]);
}

fn weight_scale(i: u32) -> f32 {
  return scale_of(i / 32u);
}
