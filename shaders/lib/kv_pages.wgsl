// Where a token's keys and values lie in the pages of one layer, as indices of Kv4 (four elements):
//
//   keys    [pages, KV_HEADS, KV_ROW4, PAGE]    neighbours in memory are tokens: a thread per key reads in order
//   values  [pages, KV_HEADS, PAGE, KV_ROW4]    neighbours are dims: a thread per four dims reads in order
//   tables  [sequences, TABLE] u32                page that holds tokens PAGE * b ..: entry b % TABLE
//
// With TABLE = 0 the pages of a sequence follow each other, and `tables` is `sequences` of AttentionState, read as words:
// [sequences, 4], the first page being the fourth.
//
// A head's scale, if it has one, is its last Kv4.
//
// A kernel that includes this file includes a kv_*.wgsl too, and has the slots KV_HEADS, HEAD_DIM, PAGE, TABLE and the
// bindings `keys`, `values` and `tables`.

// Heads are padded with zeros to whole vec4s.
const HEAD_DIM4: u32 = (HEAD_DIM + 3u) / 4u;
const KV_ROW4: u32 = HEAD_DIM4 + KV_SCALES;

fn page_of(sequence: u32, position: u32) -> u32 {
  if (TABLE == 0u) {
    return tables[sequence * 4u + 3u] + position / PAGE;
  }
  // `max`, because WGSL refuses to compile a division by 0 even where it never runs.
  return tables[sequence * TABLE + (position / PAGE) % max(TABLE, 1u)];
}

fn key_index(page: u32, kv_head: u32, d4: u32, position: u32) -> u32 {
  return ((page * KV_HEADS + kv_head) * KV_ROW4 + d4) * PAGE + position % PAGE;
}

fn value_index(page: u32, kv_head: u32, d4: u32, position: u32) -> u32 {
  return ((page * KV_HEADS + kv_head) * PAGE + position % PAGE) * KV_ROW4 + d4;
}

// Scale of the key whose first dims are at `first`, a key_index.
fn key_scale(first: u32) -> f32 {
  if (KV_SCALES == 0u) {
    return 1.0;
  }
  return kv_load_scale(keys[first + HEAD_DIM4 * PAGE]);
}

// Scale of the value whose first dims are at `first`, a value_index.
fn value_scale(first: u32) -> f32 {
  if (KV_SCALES == 0u) {
    return 1.0;
  }
  return kv_load_scale(values[first + HEAD_DIM4]);
}
