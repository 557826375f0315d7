// Each thread loads one row, and the rows go round the subgroup, which has BUNDLE threads. Contract in rows_load.wgsl.
//!enable subgroups

struct Lane {
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) in_subgroup: u32,
}

fn add_rows(sums: ptr<function, array<vec4f, BUNDLE>>, first_row: u32, k: u32, w: mat4x4f, lane: Lane) {
  let own = x[min(first_row + lane.in_subgroup, ROWS - 1u) * ROW4 + k];
  for (var r = 0u; r < BUNDLE; r++) {
    (*sums)[r] += subgroupShuffle(own, r) * w;
  }
}
