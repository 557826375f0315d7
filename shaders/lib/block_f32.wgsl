// Weights stored as f32, read 16 bytes at a time. Contract of the block_*.wgsl files: `Block` is 16 bytes of neighbouring
// elements, BLOCK4 vec4s of them; `block4` gives the values of vec4 `i` in f32, to be multiplied with the scale of their group.
// GROUP_BLOCKS is the number of blocks that share a scale, 0 where there are no scales.
// `digit4` gives the values plus DIGIT_OFFSET, where that is less work than the values themselves.
alias Block = vec4f;

const BLOCK4: u32 = 1u;
const GROUP_BLOCKS: u32 = 0u;

fn block4(stored: Block, i: u32) -> vec4f {
  return stored;
}

const DIGIT_OFFSET: f32 = 0.0;

fn digit4(stored: Block, i: u32) -> vec4f {
  return block4(stored, i);
}
