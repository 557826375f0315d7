// Reductions over the WORKGROUP threads of a workgroup through workgroup memory. Every thread receives the
// result. Must be called from uniform control flow. WORKGROUP is a power of two.
// Same contract as reduce_subgroup.wgsl.

// Builtins an entry point takes as one parameter to pass on to the reductions.
struct Lane {
  @builtin(local_invocation_index) thread: u32,
}

// The first REDUCE_WIDTH threads each reduce a column, then everyone reduces the columns' results: three barriers
// whatever the size. A barrier costs more than the additions that further halving would spare, and on lavapipe
// the compile time of a kernel grows faster than linearly with its barriers.
const REDUCE_WIDTH: u32 = 16u;

var<workgroup> reduce_partial: array<vec4f, WORKGROUP>;

fn block_sum4(value: vec4f, lane: Lane) -> vec4f {
  workgroupBarrier();
  reduce_partial[lane.thread] = value;
  workgroupBarrier();
  if (lane.thread < REDUCE_WIDTH) {
    var part = value;
    for (var i = lane.thread + REDUCE_WIDTH; i < WORKGROUP; i += REDUCE_WIDTH) {
      part += reduce_partial[i];
    }
    reduce_partial[lane.thread] = part;
  }
  workgroupBarrier();
  var sum = reduce_partial[0];
  for (var i = 1u; i < REDUCE_WIDTH; i++) {
    sum += reduce_partial[i];
  }
  return sum;
}

fn block_max4(value: vec4f, lane: Lane) -> vec4f {
  workgroupBarrier();
  reduce_partial[lane.thread] = value;
  workgroupBarrier();
  if (lane.thread < REDUCE_WIDTH) {
    var part = value;
    for (var i = lane.thread + REDUCE_WIDTH; i < WORKGROUP; i += REDUCE_WIDTH) {
      part = max(part, reduce_partial[i]);
    }
    reduce_partial[lane.thread] = part;
  }
  workgroupBarrier();
  var largest = reduce_partial[0];
  for (var i = 1u; i < REDUCE_WIDTH; i++) {
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
