// Weights stored as f32. Contract of the weight_*.wgsl files: `Weight1` is the smallest word of the binding that holds them,
// `weight1` the value in f32 of an element in it, and `weight_scale` what it is to be multiplied with; elements are counted
// from the start of the binding. A kernel that includes one of them has a binding `scales`, which only q8 and q4 read.
alias Weight1 = f32;

// Elements in one Weight1.
const WEIGHT1_ELEMENTS: u32 = 1u;

// Element `i` of the Weight1 that holds it.
fn weight1(stored: Weight1, i: u32) -> f32 {
  return stored;
}

fn weight_scale(i: u32) -> f32 {
  return 1.0;
}
