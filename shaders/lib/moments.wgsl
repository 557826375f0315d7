// Mean and variance of DIM numbers in two passes: the first gives a mean to subtract, the second sums the differences
// and their squares. The differences' own mean corrects the rounding of the first, which would otherwise be most of a
// small variance. Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", eq. 1.7.
// The kernel declares DIM and EPS.

struct Moments {
  // Mean of the differences.
  mean: f32,
  // 1 / sqrt(variance + EPS)
  scale: f32,
}

// From the sums of the differences and of their squares.
fn moments_of(sums: vec4f) -> Moments {
  let means = sums / f32(DIM);
  return Moments(means.x, inverseSqrt(max(means.y - means.x * means.x, 0.0) + EPS));
}
