// Weights stored as f16, read without the shader-f16 feature. Contract in weight_f32.wgsl.
alias Weight4 = vec2u;
alias Weight1 = u32;

const WEIGHT1_ELEMENTS: u32 = 2u;

fn weight4(stored: Weight4) -> vec4f {
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}

fn weight1(stored: Weight1, i: u32) -> f32 {
  return unpack2x16float(stored)[i % 2u];
}
