// Where a token's keys and values lie in the pages of one layer, as indices of Kv4 (four elements):
//
//   keys    [pages, KV_HEADS, HEAD_DIM4, PAGE]    neighbours in memory are tokens: a thread per key reads in order
//   values  [pages, KV_HEADS, PAGE, HEAD_DIM4]    neighbours are dims: a thread per four dims reads in order
//   tables  [sequences, TABLE] u32                page that holds tokens PAGE * b ..: entry b % TABLE
//
// A kernel that includes this file has the slots KV_HEADS, HEAD_DIM, PAGE, TABLE and a binding `tables`.

// Heads are padded with zeros to whole vec4s.
const HEAD_DIM4: u32 = (HEAD_DIM + 3u) / 4u;

fn page_of(sequence: u32, position: u32) -> u32 {
  return tables[sequence * TABLE + (position / PAGE) % TABLE];
}

fn key_index(page: u32, kv_head: u32, d4: u32, position: u32) -> u32 {
  return ((page * KV_HEADS + kv_head) * HEAD_DIM4 + d4) * PAGE + position % PAGE;
}

fn value_index(page: u32, kv_head: u32, d4: u32, position: u32) -> u32 {
  return ((page * KV_HEADS + kv_head) * PAGE + position % PAGE) * HEAD_DIM4 + d4;
}
