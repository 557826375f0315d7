// Weights stored as 4-bit integers, read 16 bytes at a time. Contract in block_f32.wgsl, layout in src/kernels/matrix.ts.
alias Block = vec4u;

const BLOCK4: u32 = 8u;
const GROUP_BLOCKS: u32 = 1u;

fn block4(stored: Block, i: u32) -> vec4f {
  return digit4(stored, i) - DIGIT_OFFSET;
}

const DIGIT_OFFSET: f32 = 8.0;

fn digit4(stored: Block, i: u32) -> vec4f {
  let nibbles = (stored[i / 2u] >> (i % 2u * 4u)) & 0x0f0f0f0fu;
  return vec4f(unpack4xU8(nibbles));
}
