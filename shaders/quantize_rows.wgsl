// quantize_rows: q[r, k] = round(v[r, k] / s), v = norm(x), s = max |v| / 127 over each group of 32, for products of integers
//
//   x [ROWS, 4 * K4] f32      norm_weight [4 * K4] f32
//   q u32 [ROWS, K4], four int8 to a word      groups f32 [ROWS, K4 / 8, 2]: s, and s times the sum of the group's integers
//   grid  (K4 / 8 / WORKGROUP, rows); a thread quantizes a group, and every workgroup of a row finds its root mean square

// Specialized by src/kernels/matmul_few_dot4.ts.
const K4: u32 = 16u;
const HAS_NORM: bool = true;
const EPSILON: f32 = 1e-6;
const WORKGROUP: u32 = 32u;

//!include REDUCE lib/reduce_tree.wgsl

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> q: array<u32>;
@group(0) @binding(3) var<storage, read_write> groups: array<vec2f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, lane: Lane) {
  let row = group.y * K4;
  var factor = 1.0;
  if (HAS_NORM) {
    var squares = 0.0;
    for (var k = lane.thread; k < K4; k += WORKGROUP) {
      let v = x[row + k];
      squares += dot(v, v);
    }
    factor = inverseSqrt(block_sum(squares, lane) / f32(4u * K4) + EPSILON);
  }

  let first = (group.x * WORKGROUP + lane.thread) * 8u;
  if (first >= K4) {
    return;
  }
  var largest: vec4f;
  for (var i = 0u; i < 8u; i++) {
    largest = max(largest, abs(normalized(row, first + i, factor)));
  }
  let most = max(max(largest.x, largest.y), max(largest.z, largest.w));
  // Below this its inverse would not be finite; such a group counts as zeros.
  let inverse = select(0.0, 127.0 / most, most > 1e-30);
  var total: vec4i;
  for (var i = 0u; i < 8u; i++) {
    let digits = vec4i(round(normalized(row, first + i, factor) * inverse));
    total += digits;
    q[row + first + i] = pack4xI8(digits);
  }
  let scale = most / 127.0;
  groups[(row + first) / 8u] = scale * vec2f(1.0, f32(total.x + total.y + total.z + total.w));
}

fn normalized(row: u32, k: u32, factor: f32) -> vec4f {
  let v = factor * x[row + k];
  if (HAS_NORM) {
    return v * norm_weight[k];
  }
  return v;
}
