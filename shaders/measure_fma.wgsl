// measure_fma: multiplies and adds in registers as fast as the device can
//
//   out[i] = the sum of 3 chains of vec4, a ← a · x + y, 8 · rounds times each
//
//   rounds  (rounds, x and y as bits of f32): unknown when compiling, so that nothing can be left out
//   out     [threads]
//   grid    (threads / WORKGROUP)

// Twelve numbers and two vectors fit in the registers of any device, and hide the time that one operation takes.

// Specialized by src/kernels/measure.ts.
const WORKGROUP: u32 = 256u;

//!include REAL lib/real_f32.wgsl

@group(0) @binding(0) var<storage, read> rounds: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = Real4(Real(bitcast<f32>(rounds[1])));
  let y = Real4(Real(bitcast<f32>(rounds[2])));
  var a = Real4(Real(f32(id.x & 255u) * 0x1p-8));
  var b = a + y;
  var c = b + y;
  for (var i = 0u; i < rounds[0]; i += 1u) {
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y);
  }
  let sum = a + b + c;
  out[id.x] = f32(sum.x + sum.y + sum.z + sum.w);
}
