// The integers of x beside a block of weights stored as 8-bit integers. Contract in integers_q4.wgsl.
alias Integers = vec4u;

fn integers(row: u32, b: u32) -> Integers {
  return q[row + b];
}

fn dot_integers(stored: Block, v: Integers) -> i32 {
  return dot4I8Packed(stored.x, v.x) + dot4I8Packed(stored.y, v.y)
    + dot4I8Packed(stored.z, v.z) + dot4I8Packed(stored.w, v.w);
}
