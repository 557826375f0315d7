// measure_empty: does next to nothing, so that its time is that of a dispatch
//
//   out[0] += 1
//
//   out    [1]: each dispatch needs that of the one before
//   grid   (1)

@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(1)
fn main() {
  out[0] += 1u;
}
