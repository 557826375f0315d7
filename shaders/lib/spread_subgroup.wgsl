// Eight neighbouring vec4s of x in every thread, times norm_weight if HAS_NORM. The first eight threads of a subgroup,
// which must have that many, load one each. Contract in spread_load.wgsl.
//!enable subgroups

struct Lane {
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) in_subgroup: u32,
}

alias Own = vec4f;

fn load_own(k: u32, lane: Lane) -> Own {
  return x[k + lane.in_subgroup % 8u];
}

fn spread(own: Own, k: u32, lane: Lane) -> array<vec4f, 8> {
  var scaled = own;
  if (HAS_NORM) {
    scaled *= norm_weight[k + lane.in_subgroup % 8u];
  }
  return array(
    subgroupBroadcast(scaled, 0u),
    subgroupBroadcast(scaled, 1u),
    subgroupBroadcast(scaled, 2u),
    subgroupBroadcast(scaled, 3u),
    subgroupBroadcast(scaled, 4u),
    subgroupBroadcast(scaled, 5u),
    subgroupBroadcast(scaled, 6u),
    subgroupBroadcast(scaled, 7u),
  );
}

fn own_squares(own: Own, lane: Lane) -> f32 {
  return select(0.0, dot(own, own), lane.in_subgroup < 8u);
}

fn all_squares(shares: f32) -> f32 {
  return subgroupAdd(shares);
}
