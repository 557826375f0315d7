// Arithmetic in f32. Contract of real_*.wgsl: Real, and Real4 of four of them.
alias Real = f32;
alias Real4 = vec4<f32>;
