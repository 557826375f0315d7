// Numbers that change from step to step, in the order of COUNT_NAMES in src/gpu/tensor.ts.
// A kernel that includes this file declares `counts` as its last binding:
//   @group(0) @binding(N) var<uniform> counts: Counts;
struct Counts {
  values: array<vec4u, 2>,
}

// Counts by index; a slot such as ROWS holds one of these, or ROWS_FIXED + n for a size known when recording.
const TOKENS: u32 = 0u;
const DECODES: u32 = 1u;
const SAMPLES: u32 = 2u;
const TILES: u32 = 3u;
const SPLITS: u32 = 4u;
const ROWS_FIXED: u32 = 8u;

// Uniform over the dispatch when `which` is a constant.
fn count(which: u32) -> u32 {
  if (which >= ROWS_FIXED) {
    return which - ROWS_FIXED;
  }
  return counts.values[which / 4u][which % 4u];
}
