// Rows read one number at a time, for sizes that are no multiple of 4. Contract of the wide_*.wgsl files: `Wide` is WIDTH
// neighbouring numbers, `wide_sum` their sum.
alias Wide = f32;

const WIDTH: u32 = 1u;

fn wide_sum(value: Wide) -> f32 {
  return value;
}
