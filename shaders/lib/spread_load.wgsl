// Eight neighbouring vec4s of x in every thread, times norm_weight if HAS_NORM. Each thread loads them all.
// Contract of spread_*.wgsl: `Own` is what `load_own` loads of them in a thread, `spread` gives all eight, `own_squares` the
// thread's share of the sum of their squares, and `all_squares` adds up the shares. The kernel declares x, norm_weight and
// HAS_NORM.

// Builtins an entry point takes as one parameter to pass on to the functions below.
struct Lane {
  @builtin(local_invocation_index) thread: u32,
}

alias Own = array<vec4f, 8>;

// Of those from `k`, in vec4s.
fn load_own(k: u32, lane: Lane) -> Own {
  var own: Own;
  for (var i = 0u; i < 8u; i++) {
    own[i] = x[k + i];
  }
  return own;
}

fn spread(own: Own, k: u32, lane: Lane) -> array<vec4f, 8> {
  var scaled = own;
  if (HAS_NORM) {
    for (var i = 0u; i < 8u; i++) {
      scaled[i] *= norm_weight[k + i];
    }
  }
  return scaled;
}

fn own_squares(own: Own, lane: Lane) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) {
    sum += dot(own[i], own[i]);
  }
  return sum;
}

fn all_squares(shares: f32) -> f32 {
  return shares;
}
