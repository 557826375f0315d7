// KV cache stored as f16, two to a word, read and written without the shader-f16 feature. Contract in kv_f32.wgsl.
alias Kv4 = vec2u;
const KV_SCALES: u32 = 0u;
const KV_STEPS: f32 = 1.0;

// Largest finite f16. Packing a larger value would give an indeterminate result.
const F16_MAX: f32 = 65504.0;

fn kv_load(stored: Kv4) -> vec4f {
  return vec4f(unpack2x16float(stored.x), unpack2x16float(stored.y));
}

fn kv_store(value: vec4f, scale: f32) -> Kv4 {
  let v = clamp(value, vec4f(-F16_MAX), vec4f(F16_MAX));
  return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}

fn kv_load_scale(stored: Kv4) -> f32 {
  return 1.0;
}

fn kv_store_scale(scale: f32) -> Kv4 {
  return Kv4();
}
