/**
 * Weights that both engines are given: random, the same for the same name, and exact in every form.
 *
 * An element of a matrix is an integer from -7 to 7 times the scale of its group of 32, which f16 holds exactly. So
 * f32, 8 bits and 4 bits are the same numbers, and both engines must give the same outputs with each.
 *
 * @module
 */
import { QUANT_GROUP } from '../src/kernels/matrix.ts';

/** Eight elements to a word. */
const PER_WORD = 8;
const WORDS_PER_GROUP = QUANT_GROUP / PER_WORD;
/** Bits of the f16 number 2^-8; those of an f16 fraction follow. */
const SMALLEST_SCALE = (15 - 8) << 10;
const FRACTIONS = 1024;

/** A matrix [rows, cols]; `cols` is a multiple of 32. */
export class RandomMatrix {
  readonly rows: number;
  readonly cols: number;
  /** The form q4 of `src/kernels/matrix.ts`: 4-bit integers plus 8, and the f16 scales of the groups. */
  readonly words: Uint32Array<ArrayBuffer>;
  readonly scales: Uint16Array<ArrayBuffer>;

  constructor(name: string, rows: number, cols: number) {
    const next = randomWords(name);
    const groups = (rows * cols) / QUANT_GROUP;
    this.rows = rows;
    this.cols = cols;
    this.words = new Uint32Array(groups * WORDS_PER_GROUP);
    this.scales = new Uint16Array(groups);
    for (let i = 0; i < this.words.length; i += 1) this.words[i] = withoutZeros(next());
    for (let i = 0; i < groups; i += 1) this.scales[i] = SMALLEST_SCALE + (next() >>> 22);
  }

  /** Row by row. */
  floats(): Float32Array<ArrayBuffer> {
    const values = new Float32Array(this.rows * this.cols);
    this.#visit((at, value, scale) => (values[at] = value * scale));
    return values;
  }

  /** The transposed matrix [cols, rows], as ONNX multiplies by. */
  transposedFloats(): Float32Array<ArrayBuffer> {
    const { rows, cols } = this;
    const values = new Float32Array(rows * cols);
    this.#visit((at, value, scale) => {
      values[(at % cols) * rows + Math.floor(at / cols)] = value * scale;
    });
    return values;
  }

  /** The form q8: signed bytes. The scales are the same. */
  bytes(): Int8Array<ArrayBuffer> {
    const values = new Int8Array(this.rows * this.cols);
    this.#visit((at, value) => (values[at] = value));
    return values;
  }

  /** Two elements to a byte, the first in the low half, as MatMulNBits has them. */
  nibbles(): Uint8Array<ArrayBuffer> {
    const values = new Uint8Array((this.rows * this.cols) / 2);
    this.#visit((at, value) => {
      const half = value + 8;
      const byte = at >> 1;
      values[byte] = (values[byte] ?? 0) | (at % 2 === 0 ? half : half << 4);
    });
    return values;
  }

  floatScales(): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.scales, scaleOf);
  }

  /** @param use - is given where an element lies, its integer, and its scale */
  #visit(use: (at: number, value: number, scale: number) => void): void {
    let at = 0;
    for (const [group, bits] of this.scales.entries()) {
      const scale = scaleOf(bits);
      for (let i = 0; i < WORDS_PER_GROUP; i += 1) {
        const word = this.words[group * WORDS_PER_GROUP + i] ?? 0;
        for (let j = 0; j < PER_WORD; j += 1, at += 1) {
          // The low halves of the four bytes come first.
          const shift = (j % 4) * 8 + (j < 4 ? 0 : 4);
          use(at, ((word >>> shift) & 15) - 8, scale);
        }
      }
    }
  }
}

/** A vector by its name: weights of norms are about 1, others about 0. */
export function randomVector(name: string, size: number): Float32Array<ArrayBuffer> {
  const next = randomWords(name);
  const isNorm = /norm/i.test(name) && name.endsWith('weight');
  return Float32Array.from({ length: size }, () => {
    const value = (next() / 2 ** 31 - 1) * 0.1;
    return isNorm ? 1 + value : value;
  });
}

/** Numbers from -1 to 1. */
export function randomFloats(name: string, size: number): Float32Array<ArrayBuffer> {
  const next = randomWords(name);
  return Float32Array.from({ length: size }, () => next() / 2 ** 31 - 1);
}

/** Token ids. */
export function randomIds(name: string, count: number, vocab: number): readonly number[] {
  const next = randomWords(name);
  return Array.from({ length: count }, () => next() % vocab);
}

function scaleOf(bits: number): number {
  return (1 + (bits - SMALLEST_SCALE) / FRACTIONS) / 256;
}

/** Half bytes of 0 become 8, so that -8 does not occur and the mean is 0. */
function withoutZeros(word: number): number {
  let zeros = ~word & 0x88888888;
  // The top bit of a half byte stays if none of its bits are set.
  zeros &= ~(word << 1) & ~(word << 2) & ~(word << 3);
  return (word | zeros) >>> 0;
}

/** Unsigned 32-bit numbers that follow from a name: xorshift (Marsaglia 2003) from its FNV-1a hash. */
function randomWords(name: string): () => number {
  let state = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) {
    state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  }
  state ||= 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
