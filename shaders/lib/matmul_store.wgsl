// The end of every matmul kernel: scales a sum, adds bias, applies the activation, adds the residual and stores it.
// The kernel declares N_FIRST, N_TOTAL, SCALE, HAS_BIAS, HAS_ACTIVATION, ACTIVATION, HAS_RESIDUAL and the bindings
// bias, residual and y.
//!include lib/activation.wgsl

// `n` counts from N_FIRST.
fn store(row: u32, n: u32, sum: f32) {
  let out = row * N_TOTAL + N_FIRST + n;
  var value = SCALE * sum;
  if (HAS_BIAS) {
    value += bias[N_FIRST + n];
  }
  if (HAS_ACTIVATION) {
    value = activate(value);
  }
  if (HAS_RESIDUAL) {
    value += residual[out];
  }
  y[out] = value;
}
