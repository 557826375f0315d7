// The largest value over a workgroup and whose it is, on top of the reductions of reduce_*.wgsl.
// Must be called from uniform control flow.

struct Best {
  value: f32,
  id: u32,
}

// Ids are compared as f32: exact below 2^24, more tokens than any vocabulary has.
const NO_ID: f32 = 16777216.0;

// Of equal values the one with the lowest id wins. Every thread receives the result.
fn block_best(mine: Best, lane: Lane) -> Best {
  let value = block_max(mine.value, lane);
  let id = -block_max(select(-NO_ID, -f32(mine.id), mine.value == value), lane);
  return Best(value, u32(id));
}
