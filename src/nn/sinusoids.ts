/** Sinusoidal positions. Vaswani et al. 2017, arXiv:1706.03762, section 3.5. @module */

/**
 * Positions of Marian and Pegasus: row p is sin(p / 10000^(2i / dim)) for all i, then the cosines.
 *
 * @returns [rows, dim]
 */
export function sinusoids(rows: number, dim: number): Float32Array {
  const sines = Math.ceil(dim / 2);
  const table = new Float32Array(rows * dim);
  for (let j = 0; j < dim; j++) {
    const i = Math.floor(j / 2);
    const wavelength = 10000 ** ((2 * i) / dim);
    const [wave, column] = j % 2 === 0 ? [Math.sin, i] : [Math.cos, sines + i];
    for (let p = 0; p < rows; p++) table[p * dim + column] = wave(p / wavelength);
  }
  return table;
}

/**
 * Positions of fairseq, and M2M100: row p is sin(p · 10000^(-i / (half - 1))) for all i below half = ⌊dim / 2⌋, then
 * the cosines; one row is zero, for padding. Angles are rounded to float32 as there, which at position 1000 makes a
 * difference of 1e-4.
 *
 * @returns [rows, dim]
 */
export function fairseqSinusoids(rows: number, dim: number, zeroRow: number): Float32Array {
  const { fround } = Math;
  const half = Math.floor(dim / 2);
  const step = fround(-Math.log(10000) / (half - 1));
  const table = new Float32Array(rows * dim);
  for (let i = 0; i < half; i++) {
    const frequency = fround(Math.exp(fround(i * step)));
    for (let p = 0; p < rows; p++) {
      const angle = fround(p * frequency);
      table[p * dim + i] = Math.sin(angle);
      table[p * dim + half + i] = Math.cos(angle);
    }
  }
  return table.fill(0, zeroRow * dim, (zeroRow + 1) * dim);
}
