// KV cache stored as signed bytes, four to a word, with one f32 scale for each token and head. Contract in kv_f32.wgsl.
alias Kv4 = u32;
const KV_SCALES: u32 = 1u;
const KV_STEPS: f32 = 127.0;

fn kv_load(stored: Kv4) -> vec4f {
  return vec4f(unpack4xI8(stored));
}

fn kv_store(value: vec4f, scale: f32) -> Kv4 {
  let steps = round(value * select(0.0, 1.0 / scale, scale > 0.0));
  return pack4xI8(vec4i(clamp(steps, vec4f(-KV_STEPS), vec4f(KV_STEPS))));
}

fn kv_load_scale(stored: Kv4) -> f32 {
  return bitcast<f32>(stored);
}

fn kv_store_scale(scale: f32) -> Kv4 {
  return bitcast<u32>(scale);
}
