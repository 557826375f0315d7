// Weights stored as 8-bit integers, read 16 bytes at a time. Contract in block_f32.wgsl, layout in src/kernels/matrix.ts.
alias Block = vec4u;

const BLOCK4: u32 = 4u;
const GROUP_BLOCKS: u32 = 2u;

fn block4(stored: Block, i: u32) -> vec4f {
  return vec4f(unpack4xI8(stored[i]));
}

const DIGIT_OFFSET: f32 = 0.0;

fn digit4(stored: Block, i: u32) -> vec4f {
  return block4(stored, i);
}
