// measure_read: reads memory as fast as the device can
//
//   out[i] = bits of what thread i reads: so that no read can be left out
//
//   data   [vectors], a multiple of 4 · THREADS
//   out    [THREADS]
//   grid   (THREADS / WORKGROUP)
//
// Neighbouring threads read neighbouring vectors, four of each thread's under way at once.

// Specialized by src/kernels/measure.ts.
const THREADS: u32 = 65536u;
const WORKGROUP: u32 = 256u;

@group(0) @binding(0) var<storage, read> data: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let end = arrayLength(&data);
  var seen = vec4u(0u);
  for (var i = id.x; i < end; i += 4u * THREADS) {
    seen |= (data[i] | data[i + THREADS]) | (data[i + 2u * THREADS] | data[i + 3u * THREADS]);
  }
  out[id.x] = seen.x | seen.y | seen.z | seen.w;
}
