// Reductions over the WORKGROUP threads of a workgroup through workgroup memory. Every thread receives the
// result. Must be called from uniform control flow. WORKGROUP is a power of two.
// Same contract as reduce_subgroup.wgsl.

// Builtins an entry point takes as one parameter to pass on to the reductions.
struct Lane {
  @builtin(local_invocation_index) thread: u32,
}

var<workgroup> reduce_partial: array<vec4f, WORKGROUP>;

fn block_sum4(value: vec4f, lane: Lane) -> vec4f {
  workgroupBarrier();
  reduce_partial[lane.thread] = value;
  for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (lane.thread < stride) {
      reduce_partial[lane.thread] += reduce_partial[lane.thread + stride];
    }
  }
  return workgroupUniformLoad(&reduce_partial[0]);
}

fn block_max4(value: vec4f, lane: Lane) -> vec4f {
  workgroupBarrier();
  reduce_partial[lane.thread] = value;
  for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (lane.thread < stride) {
      reduce_partial[lane.thread] = max(reduce_partial[lane.thread], reduce_partial[lane.thread + stride]);
    }
  }
  return workgroupUniformLoad(&reduce_partial[0]);
}

fn block_sum(value: f32, lane: Lane) -> f32 {
  return block_sum4(vec4f(value, 0.0, 0.0, 0.0), lane).x;
}

fn block_max(value: f32, lane: Lane) -> f32 {
  return block_max4(vec4f(value), lane).x;
}
