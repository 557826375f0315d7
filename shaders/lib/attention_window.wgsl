// Which keys a query sees: those at positions first_visible(position) ..< end_visible(position, length).
//
// A kernel that includes this file has the slots CAUSAL, whether a query sees no key after its own, and WINDOW: keys it
// sees to each side, its own included; 0 for all. With neither, `position` does not matter.

fn first_visible(position: u32) -> u32 {
  return select(0u, position + 1u - WINDOW, WINDOW > 0u && position >= WINDOW);
}

fn end_visible(position: u32, length: u32) -> u32 {
  if (CAUSAL) {
    return position + 1u;
  }
  return select(length, position + WINDOW, WINDOW > 0u && length - position > WINDOW);
}
