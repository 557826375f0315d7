// Which keys a query sees: those at positions first_visible(position) ..= position.
// A kernel that includes this file has the slot WINDOW: keys a query sees, itself included; 0 for all before it.
fn first_visible(position: u32) -> u32 {
  return select(0u, position + 1u - WINDOW, WINDOW > 0u && position >= WINDOW);
}
