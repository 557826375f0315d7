// The end of every matmul kernel: adds bias and residual to a sum and stores it.
// The kernel declares N_FIRST, N_TOTAL, HAS_BIAS, HAS_RESIDUAL and the bindings bias, residual and y.

// `n` counts from N_FIRST.
fn store(row: u32, n: u32, sum: f32) {
  let out = row * N_TOTAL + N_FIRST + n;
  var value = sum;
  if (HAS_BIAS) {
    value += bias[N_FIRST + n];
  }
  if (HAS_RESIDUAL) {
    value += residual[out];
  }
  y[out] = value;
}
