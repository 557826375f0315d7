// Rows read four numbers at a time. Contract in wide_1.wgsl.
alias Wide = vec4f;

const WIDTH: u32 = 4u;

fn wide_sum(value: Wide) -> f32 {
  return dot(value, vec4f(1.0));
}
