// Sums over segments of LANES threads by exchange within subgroups, which must have at least that many threads.
// Same contract as segment_memory.wgsl.
//!enable subgroups

// Builtins an entry point takes as one parameter to pass on to the functions below.
struct Lane {
  @builtin(subgroup_invocation_id) in_subgroup: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_size) size: u32,
}

const SEGMENTS: u32 = WORKGROUP / LANES;

var<workgroup> segment_sums: array<vec4f, SEGMENT_SLOTS * SEGMENTS>;

fn segment(lane: Lane) -> u32 {
  return lane.subgroup * (lane.size / LANES) + lane.in_subgroup / LANES;
}

fn in_segment(lane: Lane) -> u32 {
  return lane.in_subgroup % LANES;
}

fn segment_put(slot: u32, part: vec4f, lane: Lane) {
  var sum = part;
  for (var distance = LANES / 2u; distance > 0u; distance /= 2u) {
    sum += subgroupShuffleXor(sum, distance);
  }
  if (in_segment(lane) == 0u) {
    segment_sums[slot * SEGMENTS + segment(lane)] = sum;
  }
}

fn segment_total(slot: u32, i: u32, lane: Lane) -> f32 {
  return segment_sums[slot * SEGMENTS + segment(lane)][i];
}
