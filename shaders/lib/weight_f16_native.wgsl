// Weights stored as f16, read with the shader-f16 feature. Contract in weight_f32.wgsl.
//!enable f16
alias Weight4 = vec4<f16>;
alias Weight1 = vec2<f16>;

const WEIGHT1_ELEMENTS: u32 = 2u;

fn weight4(stored: Weight4) -> vec4f {
  return vec4f(stored);
}

fn weight1(stored: Weight1, i: u32) -> f32 {
  return f32(stored[i % 2u]);
}
