// What is added to the score of a query and a key for how far they are apart:
//
//   bias  [BIAS_ROWS, HEADS] f32: row R + d for a key d positions after the query, with R = (BIAS_ROWS - 1) / 2; the first
//         and last row also serve those farther apart
//
// A kernel that includes this file has the slots HEADS and BIAS_ROWS, 0 for no bias, and a binding `bias`.
//
// Raffel et al. 2020, T5, arXiv:1910.10683, section 2.1.

const REACH: i32 = i32(BIAS_ROWS / 2u);

fn bias_of(head: u32, query: u32, key: u32) -> f32 {
  let distance = clamp(i32(key) - i32(query), -REACH, REACH);
  return bias[u32(distance + REACH) * HEADS + head];
}
