// Weights stored as f32. Contract of the weight_*.wgsl files: `Weight4` is the storage of four neighbouring
// elements, `Weight1` the smallest word; `weight4` and `weight1` give their values in f32, exactly.
alias Weight4 = vec4f;
alias Weight1 = f32;

// Elements in one Weight1.
const WEIGHT1_ELEMENTS: u32 = 1u;

fn weight4(stored: Weight4) -> vec4f {
  return stored;
}

// Element `i` of the Weight1 that holds it.
fn weight1(stored: Weight1, i: u32) -> f32 {
  return stored;
}
