/**
 * Rotary position embedding tables, computed on the CPU in float64.
 *
 * Token at position p, pair i of R rotated dimensions: angle p · f_i, with f_i = θ^(-2i/R) unless a scaling
 * changes it. The GPU gets cos and sin per token of a step (WGSL's own sin and cos are far too coarse:
 * the specification permits an absolute error of 2^-11).
 *
 * Su et al. 2021, arXiv:2104.09864.
 *
 * @module
 */

/** How the rotation frequencies are made, as in `rope_parameters` / `rope_scaling` of config.json. */
export type RopeScaling =
  | { readonly type: 'default' }
  /** Positions are divided by `factor`. Chen et al. 2023, arXiv:2306.15595. */
  | { readonly type: 'linear'; readonly factor: number }
  /** θ grows with the length of the sequence once it passes `maxPositions` ("dynamic NTK"). */
  | { readonly type: 'dynamic'; readonly factor: number; readonly maxPositions: number }
  /** Long wavelengths are divided by `factor`, short ones kept. Llama 3.1. */
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalPositions: number;
    }
  /** Peng et al. 2023, arXiv:2309.00071. */
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the ramp's ends are rounded to whole dimensions. */
      readonly truncate: boolean;
      /** Factor on cos and sin: the paper's attention temperature, √(1/t). */
      readonly attentionFactor: number;
    };

export interface RopeConfig {
  readonly theta: number;
  /** Dimensions of each head that are rotated, even. */
  readonly rotaryDim: number;
  readonly scaling: RopeScaling;
}

/**
 * The length on which a token's rotation depends, given the length known when it is processed: constant
 * unless the scaling is dynamic and the length has passed the trained one.
 */
export function ropeLength(config: RopeConfig, length: number): number {
  return config.scaling.type === 'dynamic' ? Math.max(length, config.scaling.maxPositions) : 0;
}

/** Angular frequency of each pair, float64 [rotaryDim / 2]. `length` as {@link ropeLength} gives it. */
export function ropeFrequencies(config: RopeConfig, length: number): Float64Array {
  const { theta, rotaryDim, scaling } = config;
  const base = Float64Array.from(
    { length: rotaryDim / 2 },
    (_, i) => theta ** ((-2 * i) / rotaryDim),
  );
  switch (scaling.type) {
    case 'default':
      return base;
    case 'linear':
      return base.map((f) => f / scaling.factor);
    case 'dynamic': {
      const { factor, maxPositions } = scaling;
      const stretch = (factor * Math.max(length, maxPositions)) / maxPositions - (factor - 1);
      const scaled = theta * stretch ** (rotaryDim / (rotaryDim - 2));
      return base.map((_, i) => scaled ** ((-2 * i) / rotaryDim));
    }
    case 'llama3': {
      const { factor, lowFreqFactor, highFreqFactor, originalPositions } = scaling;
      return base.map((f) => {
        const turns = (originalPositions * f) / (2 * Math.PI);
        const keep = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
        const smooth = Math.min(1, Math.max(0, keep));
        return (1 - smooth) * (f / factor) + smooth * f;
      });
    }
    case 'yarn': {
      const { factor, originalPositions, betaFast, betaSlow, truncate } = scaling;
      // Dimension whose wavelength fits `turns` times into the trained length (eq. 16 solved for it).
      const dimensionOf = (turns: number): number =>
        (rotaryDim * Math.log(originalPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const fast = dimensionOf(betaFast);
      const slow = dimensionOf(betaSlow);
      const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
      const high = Math.min(truncate ? Math.ceil(slow) : slow, rotaryDim - 1);
      const width = high === low ? 0.001 : high - low;
      return base.map((f, i) => {
        const ramp = Math.min(1, Math.max(0, (i - low) / width));
        return ramp * (f / factor) + (1 - ramp) * f;
      });
    }
  }
}

/** Writes cos and sin of tokens into step state, remembering the rows of positions it has seen. */
export class RopeTable {
  /** Numbers per token: (cos, sin) of each pair. */
  readonly width: number;
  readonly #config: RopeConfig;
  readonly #amplitude: number;
  #length: number;
  #frequencies: Float64Array;
  #rows: (Float32Array | undefined)[] = [];

  constructor(config: RopeConfig) {
    this.width = config.rotaryDim;
    this.#config = config;
    this.#amplitude = config.scaling.type === 'yarn' ? config.scaling.attentionFactor : 1;
    this.#length = ropeLength(config, 0);
    this.#frequencies = ropeFrequencies(config, this.#length);
  }

  /**
   * Writes the row of one token.
   *
   * @param length - tokens of its sequence known when it was first processed; see {@link ropeLength}
   * @param out - f32 [tokens, rotaryDim / 2, 2]
   */
  write(position: number, length: number, out: Float32Array, token: number): void {
    const effective = ropeLength(this.#config, length);
    if (effective !== this.#length) {
      this.#length = effective;
      this.#frequencies = ropeFrequencies(this.#config, effective);
      this.#rows = [];
    }
    const row = (this.#rows[position] ??= this.#compute(position));
    out.set(row, token * this.width);
  }

  #compute(position: number): Float32Array {
    const row = new Float32Array(this.width);
    this.#frequencies.forEach((frequency, i) => {
      row[2 * i] = this.#amplitude * Math.cos(position * frequency);
      row[2 * i + 1] = this.#amplitude * Math.sin(position * frequency);
    });
    return row;
  }
}
