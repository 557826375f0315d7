// Reductions over the WORKGROUP threads of a workgroup: one subgroup operation, then one slot per subgroup in
// workgroup memory. Every thread receives the result. Must be called from uniform control flow.
// Same contract as reduce_tree.wgsl.
//!enable subgroups

// Builtins an entry point takes as one parameter to pass on to the reductions.
struct Lane {
  @builtin(local_invocation_index) thread: u32,
  @builtin(subgroup_invocation_id) in_subgroup: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(num_subgroups) subgroups: u32,
}

// A subgroup has at least 4 threads.
var<workgroup> reduce_partial: array<vec4f, (WORKGROUP + 3u) / 4u>;

fn block_sum4(value: vec4f, lane: Lane) -> vec4f {
  let part = subgroupAdd(value);
  workgroupBarrier();
  if (lane.in_subgroup == 0u) {
    reduce_partial[lane.subgroup] = part;
  }
  workgroupBarrier();
  var sum = reduce_partial[0];
  for (var i = 1u; i < lane.subgroups; i++) {
    sum += reduce_partial[i];
  }
  return sum;
}

fn block_max4(value: vec4f, lane: Lane) -> vec4f {
  let part = subgroupMax(value);
  workgroupBarrier();
  if (lane.in_subgroup == 0u) {
    reduce_partial[lane.subgroup] = part;
  }
  workgroupBarrier();
  var largest = reduce_partial[0];
  for (var i = 1u; i < lane.subgroups; i++) {
    largest = max(largest, reduce_partial[i]);
  }
  return largest;
}

fn block_sum(value: f32, lane: Lane) -> f32 {
  return block_sum4(vec4f(value, 0.0, 0.0, 0.0), lane).x;
}

fn block_max(value: f32, lane: Lane) -> f32 {
  return block_max4(vec4f(value), lane).x;
}
