// Weights stored as bf16, the upper half of an f32, read 16 bytes at a time. Contract in block_f32.wgsl.
alias Block = vec4u;

const BLOCK4: u32 = 2u;
const GROUP_BLOCKS: u32 = 0u;

fn block4(stored: Block, i: u32) -> vec4f {
  let low = stored[2u * i];
  let high = stored[2u * i + 1u];
  return bitcast<vec4f>(vec4u(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u));
}

const DIGIT_OFFSET: f32 = 0.0;

fn digit4(stored: Block, i: u32) -> vec4f {
  return block4(stored, i);
}
