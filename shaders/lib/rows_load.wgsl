// The products of rows of x with columns of a thread. Contract of the rows_*.wgsl files: `add_rows` adds those of four k, the
// vec4 `k` of a row, of BUNDLE neighbouring rows; columns of `w` are the thread's columns. Called from uniform control flow.
// The kernel declares BUNDLE, ROWS, ROW4, the vec4s of a row, and the binding x.

struct Lane {
  @builtin(local_invocation_index) thread: u32,
}

// Past the edge the last row is repeated, and not to be stored.
fn add_rows(sums: ptr<function, array<vec4f, BUNDLE>>, first_row: u32, k: u32, w: mat4x4f, lane: Lane) {
  // Unrolled by the compiler, so that the sums stay in registers.
  for (var r = 0u; r < BUNDLE; r++) {
    (*sums)[r] += x[min(first_row + r, ROWS - 1u) * ROW4 + k] * w;
  }
}
