// Weights stored as 4-bit integers with a scale for every 32. Contract in weight_f32.wgsl, layout in src/kernels/matrix.ts.
//!include lib/scale.wgsl
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 8u;

fn weight1(stored: Weight1, i: u32) -> f32 {
  let shift = (i % 4u) * 8u + (i % 8u) / 4u * 4u;
  return f32((stored >> shift) & 15u) - 8.0;
}

fn weight_scale(i: u32) -> f32 {
  return scale_of(i / 32u);
}
