// KV cache stored as f32. Contract of the kv_*.wgsl files: `Kv4` is the storage of four neighbouring elements; `kv_load`
// gives their values in f32, up to the scale of their token and head, and `kv_store` rounds four values to the storage
// format. If KV_SCALES is 1, a head has one more Kv4, with its scale, which `kv_load_scale` and `kv_store_scale` convert:
// its largest magnitude over KV_STEPS. If it is 0, the scale is 1 and not stored.
alias Kv4 = vec4f;
const KV_SCALES: u32 = 0u;
const KV_STEPS: f32 = 1.0;

fn kv_load(stored: Kv4) -> vec4f {
  return stored;
}

fn kv_store(value: vec4f, scale: f32) -> Kv4 {
  return value;
}

fn kv_load_scale(stored: Kv4) -> f32 {
  return 1.0;
}

fn kv_store_scale(scale: f32) -> Kv4 {
  return Kv4();
}
