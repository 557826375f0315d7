// Random numbers that depend on a counter and on nothing else: no state, no order.

// Four mixed words from four: `pcg4d` of Jarzynski & Olano 2020, "Hash Functions for GPU Rendering", Journal of
// Computer Graphics Techniques 9(3), listing 9. Integer arithmetic, so every device gives the same bits.
fn pcg4d(counter: vec4u) -> vec4u {
  var v = counter * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

// A draw from the exponential distribution of rate 1: -ln(1 - u), u = (bits + 1/2) / 2^32. Positive, below 23.
fn exponential(bits: u32) -> f32 {
  const SCALE: f32 = 1.0 / 4294967296.0;
  if (bits >= 0x80000000u) {
    return -log((f32(~bits) + 0.5) * SCALE);
  }
  // `log` near 1 is good to 2^-21 only, and 1 - u rounds small u away: ln((1 + s) / (1 - s)) = 2 atanh(s), by its
  // series, has full relative precision down to u = 2^-33. The term left out is below 2e-7 of the sum.
  let u = (f32(bits) + 0.5) * SCALE;
  let s = u / (2.0 - u);
  let q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0))))));
}
