// Arithmetic in f16. Contract in real_f32.wgsl.
//!enable f16
alias Real = f16;
alias Real4 = vec4<f16>;
