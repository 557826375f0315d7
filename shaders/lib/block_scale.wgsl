// Scales of the groups that share one. A kernel that includes this file includes block_*.wgsl and has a binding `scales`.
//!include lib/scale.wgsl

// What the values of a block are to be multiplied with; blocks are counted from the start of the binding.
fn block_scale(block: u32) -> f32 {
  if (GROUP_BLOCKS == 0u) {
    return 1.0;
  }
  return scale_of(block / max(GROUP_BLOCKS, 1u));
}
