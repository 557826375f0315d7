// The id of a token of the step. The kernel declares the bindings tokens and last_tokens.

// Marks a reference to the id sampled last in a slot.
const LAST_TOKEN: u32 = 0x80000000u;

fn token_of(row: u32) -> u32 {
  let token = tokens[row];
  if ((token & LAST_TOKEN) != 0u) {
    return last_tokens[token & ~LAST_TOKEN];
  }
  return token;
}
