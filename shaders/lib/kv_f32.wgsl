// KV cache stored as f32. Contract of the kv_*.wgsl files: `Kv4` is the storage of four neighbouring elements;
// `kv_load` gives their values in f32, `kv_store` rounds four values to the storage format.
alias Kv4 = vec4f;

fn kv_load(stored: Kv4) -> vec4f {
  return stored;
}

fn kv_store(value: vec4f) -> Kv4 {
  return value;
}
