// Sums over segments of LANES threads through workgroup memory. SEGMENT_SLOTS vec4s are added up at once: every thread puts
// its part in each slot, and after one barrier a thread may ask for the total of any in its segment. LANES and WORKGROUP, a
// multiple of it, are powers of two. Same contract as segment_subgroup.wgsl.

// Builtins an entry point takes as one parameter to pass on to the functions below.
struct Lane {
  @builtin(local_invocation_index) thread: u32,
}

var<workgroup> segment_parts: array<vec4f, SEGMENT_SLOTS * WORKGROUP>;

fn segment(lane: Lane) -> u32 {
  return lane.thread / LANES;
}

fn in_segment(lane: Lane) -> u32 {
  return lane.thread % LANES;
}

// Must be called from uniform control flow.
fn segment_put(slot: u32, part: vec4f, lane: Lane) {
  segment_parts[slot * WORKGROUP + lane.thread] = part;
}

// Element `i` of a slot.
fn segment_total(slot: u32, i: u32, lane: Lane) -> f32 {
  let first = slot * WORKGROUP + segment(lane) * LANES;
  var sum = 0.0;
  for (var j = 0u; j < LANES; j++) {
    sum += segment_parts[first + j][i];
  }
  return sum;
}
