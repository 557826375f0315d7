// Weights stored as f16, read 16 bytes at a time. Contract in block_f32.wgsl.
alias Block = vec4u;

const BLOCK4: u32 = 2u;
const GROUP_BLOCKS: u32 = 0u;

fn block4(stored: Block, i: u32) -> vec4f {
  return vec4f(unpack2x16float(stored[2u * i]), unpack2x16float(stored[2u * i + 1u]));
}

const DIGIT_OFFSET: f32 = 0.0;

fn digit4(stored: Block, i: u32) -> vec4f {
  return block4(stored, i);
}
