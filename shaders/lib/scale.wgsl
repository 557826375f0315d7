// Scales of groups of weights: f16, two to a word of the binding `scales`.

// Exact also where it is smaller than 2^-14, which devices may take for 0 when they unpack it.
fn scale_of(group: u32) -> f32 {
  let word = scales[group / 2u];
  let bits = (word >> (group % 2u * 16u)) & 0xffffu;
  let subnormal = f32(bits & 0x3ffu) * select(0x1p-24, -0x1p-24, bits >= 0x8000u);
  return select(unpack2x16float(word)[group % 2u], subnormal, (bits & 0x7c00u) == 0u);
}
