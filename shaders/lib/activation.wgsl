// Activation functions by number, in the order of ACTIVATIONS in src/kernels/activation.ts.
// A kernel that includes this file declares `const ACTIVATION: u32`.

const SQRT_HALF: f32 = 0.7071067811865476;
const SQRT_2_OVER_PI: f32 = 0.7978845608028654;

// exp overflows for large arguments; beyond these bounds the result does not change.
fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}

// Complementary error function for z >= 0, relative error below 1.2e-7 everywhere.
// Press et al. 2007, Numerical Recipes, 3rd edition, section 6.2.2.
fn erfc(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * z);
  let p = t * (-0.82215223 + t * 0.17087277);
  let q = t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + p)));
  let r = t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + q))));
  return t * exp(max(-z * z - 1.26551223 + r, -80.0));
}

// WGSL's own tanh may be off by 1e-5. Near 0 the quotient would lose digits to cancellation; there the Taylor series up
// to x^9 is good to 1e-8 of the result.
fn tanh_exact(x: f32) -> f32 {
  let size = abs(x);
  if (size < 0.25) {
    let q = x * x;
    return x * (1.0 + q * (-1.0 / 3.0 + q * (2.0 / 15.0 + q * (-17.0 / 315.0 + q * (62.0 / 2835.0)))));
  }
  let e = exp(-2.0 * min(size, 20.0));
  return sign(x) * (1.0 - e) / (1.0 + e);
}

fn activate(x: f32) -> f32 {
  switch ACTIVATION {
    case 0u: { // silu, Elfwing et al. 2017, arXiv:1702.03118
      return x * sigmoid(x);
    }
    case 1u: { // gelu, Hendrycks & Gimpel 2016, arXiv:1606.08415
      let half_tail = 0.5 * erfc(abs(x) * SQRT_HALF);
      return x * select(half_tail, 1.0 - half_tail, x > 0.0);
    }
    case 2u: { // gelu_tanh, the same paper's approximation; 1 + tanh(u) = 2 sigmoid(2u)
      return x * sigmoid(2.0 * SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
    }
    case 3u: { // quick_gelu
      return x * sigmoid(1.702 * x);
    }
    case 4u: { // relu
      return max(x, 0.0);
    }
    case 5u: { // sigmoid: the original gated linear unit, Dauphin et al. 2016, arXiv:1612.08083
      return sigmoid(x);
    }
    default: { // tanh
      return tanh_exact(x);
    }
  }
}
