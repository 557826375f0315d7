// Rounding to f16 in integer arithmetic: built-in conversions may cut off digits and lose subnormals.

// The f16 nearest to `x`, ties to even; `x` must be finite. From 65520 on what is returned is no f16.
fn nearest_half(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let size = abs(x);
  if (size < 0x1p-14) {
    // Subnormals are the multiples of 2^-24.
    let whole = round(size * 0x1p24);
    return select(whole, -whole, x < 0.0) * 0x1p-24;
  }
  return bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & ~0x1fffu);
}

// The 16 bits of a number that nearest_half returned, below 65520.
fn half_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  if (abs(x) < 0x1p-14) {
    return sign | u32(abs(x) * 0x1p24);
  }
  return sign | (((bits & 0x7fffffffu) >> 13u) - (112u << 10u));
}

// Whether `x` is neither infinite nor NaN.
fn is_finite(x: vec4f) -> bool {
  return all((bitcast<vec4u>(x) & vec4u(0x7f800000u)) != vec4u(0x7f800000u));
}
