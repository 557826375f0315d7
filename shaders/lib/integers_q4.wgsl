// The integers of x beside a block of weights stored as 4-bit integers. Contract of integers_*.wgsl: `Integers` is what
// `integers` reads for block `b` of the row that starts at `row`, in 16-byte words of the binding `q`, and `dot_integers` the
// sum of their products with the block's digits, block_*.wgsl says which.
struct Integers {
  low: vec4u,
  high: vec4u,
}

fn integers(row: u32, b: u32) -> Integers {
  return Integers(q[row + 2u * b], q[row + 2u * b + 1u]);
}

fn dot_integers(stored: Block, v: Integers) -> i32 {
  let even = stored & vec4u(0x0f0f0f0fu);
  let odd = (stored >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
  return dot4I8Packed(even.x, v.low.x) + dot4I8Packed(odd.x, v.low.y)
    + dot4I8Packed(even.y, v.low.z) + dot4I8Packed(odd.y, v.low.w)
    + dot4I8Packed(even.z, v.high.x) + dot4I8Packed(odd.z, v.high.y)
    + dot4I8Packed(even.w, v.high.z) + dot4I8Packed(odd.w, v.high.w);
}
