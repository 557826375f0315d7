// Four neighbouring columns of a product that one thread or segment computes. GATED, the weight holds gate rows over as many
// up rows, a quad has two of each, and y[r, n] = activate(gate) * up; the whole weight lies in one buffer.
// The kernel declares N, GATED and what matmul_store.wgsl asks for.
//!include lib/matmul_store.wgsl

// Columns of y that come of a quad.
const QUAD_OUTPUTS: u32 = select(4u, 2u, GATED);

// Rows of the weight behind a quad's columns; those past the end repeat the last.
fn quad_rows(quad: u32) -> vec4u {
  if (GATED) {
    let first = min(vec2u(2u * quad, 2u * quad + 1u), vec2u(N / 2u - 1u));
    return vec4u(first, first + N / 2u);
  }
  return min(4u * quad + vec4u(0u, 1u, 2u, 3u), vec4u(N - 1u));
}

// Ends output `i` of a quad, if there is one, and stores it; `up` is column i + 2, of use if GATED.
fn store_quad(row: u32, quad: u32, i: u32, sum: f32, up: f32) {
  let n = quad * QUAD_OUTPUTS + i;
  if (GATED) {
    if (n < N / 2u) {
      store_gated(row, n, SCALE * vec2f(sum, up));
    }
  } else if (n < N) {
    store(row, n, sum);
  }
}

fn store_gated(row: u32, n: u32, product: vec2f) {
  var gate_up = product;
  if (HAS_BIAS) {
    gate_up += vec2f(bias[n], bias[N / 2u + n]);
  }
  y[row * (N / 2u) + n] = activate(gate_up.x) * gate_up.y;
}
