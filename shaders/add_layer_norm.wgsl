// add_layer_norm: x[t, i] += delta[t, i];  y[t, i] = weight[i] * (x[t, i] - m) / sqrt(v + eps) (+ bias[i])
//                 m = mean_j(x[t, j]), v = mean_j((x[t, j] - m)^2)
//
//   x, delta, y   [rows, DIM] f32
//   weight, bias  [DIM] f32
//   grid          one workgroup per row; sums accumulate in f32
//
// The residual connection and the norm after it in one kernel. Ba et al. 2016, arXiv:1607.06450, eq. 4.

// Specialized by src/kernels/layer_norm.ts.
const DIM: u32 = 64u;
const EPS: f32 = 1e-12;
const HAS_BIAS: bool = true;
const WORKGROUP: u32 = 64u;

//!include WIDE lib/wide_1.wgsl
//!include REDUCE lib/reduce_tree.wgsl
//!include lib/moments.wgsl

@group(0) @binding(0) var<storage, read_write> x: array<Wide>;
@group(0) @binding(1) var<storage, read> delta: array<Wide>;
@group(0) @binding(2) var<storage, read> weight: array<Wide>;
@group(0) @binding(3) var<storage, read> bias: array<Wide>;
@group(0) @binding(4) var<storage, read_write> y: array<Wide>;

// Wides in a row.
const SIZE: u32 = DIM / WIDTH;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.x * SIZE;

  // Each thread reads back only elements that it wrote itself.
  var sum = Wide();
  for (var i = lane.thread; i < SIZE; i += WORKGROUP) {
    let v = x[row + i] + delta[row + i];
    x[row + i] = v;
    sum += v;
  }
  let shift = block_sum(wide_sum(sum), lane) / f32(DIM);

  var differences = Wide();
  var squares = Wide();
  for (var i = lane.thread; i < SIZE; i += WORKGROUP) {
    let difference = x[row + i] - shift;
    differences += difference;
    squares += difference * difference;
  }
  let powers = vec4f(wide_sum(differences), wide_sum(squares), 0.0, 0.0);
  let moments = moments_of(block_sum4(powers, lane));

  for (var i = lane.thread; i < SIZE; i += WORKGROUP) {
    var value = (x[row + i] - shift - moments.mean) * moments.scale * weight[i];
    if (HAS_BIAS) {
      value += bias[i];
    }
    y[row + i] = value;
  }
}
