// Weights stored as 4-bit integers with a scale for every 32. Contract in weight_f32.wgsl, layout in src/kernels/matrix.ts.
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 8u;

fn weight1(stored: Weight1, i: u32) -> f32 {
  let shift = (i % 4u) * 8u + (i % 8u) / 4u * 4u;
  return f32((stored >> shift) & 15u) - 8.0;
}

fn weight_scale(i: u32) -> f32 {
  let group = i / 32u;
  return unpack2x16float(scales[group / 2u])[group % 2u];
}
