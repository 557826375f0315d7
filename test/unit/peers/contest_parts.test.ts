import { describe, expect, it } from 'vitest';
import { Clock } from '../../../peers/clock.ts';
import { ggufModel, idsOf, textOf } from '../../../peers/gguf.ts';
import { cpuTimeOf } from '../../../peers/process_times.ts';
import { RandomMatrix } from '../../../peers/random_weights.ts';

const CONFIG = {
  model_type: 'llama',
  hidden_act: 'silu',
  tie_word_embeddings: true,
  max_position_embeddings: 64,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  attention_bias: false,
} as const;

describe('GGUF files of the peers', () => {
  const parts = ggufModel(CONFIG, 'q4');

  it('start with the header, and every part is aligned', () => {
    const [head] = parts;
    if (head === undefined) throw new Error('no header');
    const view = new DataView(head.buffer);
    expect(new TextDecoder().decode(head.subarray(0, 4))).toBe('GGUF');
    expect(view.getUint32(4, true)).toBe(3);
    expect(view.getBigUint64(8, true)).toBe(11n);
    // A part, and what fills it up.
    for (let i = 0; i < parts.length; i += 2) {
      expect(((parts[i]?.length ?? 0) + (parts[i + 1]?.length ?? 0)) % 32).toBe(0);
    }
  });

  it('hold the queries of a head with the halves interleaved', () => {
    // Header, embeddings, norm, queries: each with what fills it up.
    const queries = parts[6];
    if (queries === undefined) throw new Error('no queries');
    const matrix = new RandomMatrix('model.layers.0.self_attn.q_proj.weight', 32, 32);
    const expected = matrix.floats();
    const headDim = 8;
    for (let row = 0; row < 32; row += 1) {
      const [head, i] = [Math.floor(row / headDim), row % headDim];
      const source = head * headDim + Math.floor(i / 2) + (i % 2) * (headDim / 2);
      expect(dequantize(queries.subarray(row * 18, (row + 1) * 18))).toEqual([
        ...expected.subarray(source * 32, (source + 1) * 32),
      ]);
    }
  });

  it('write tokens as characters that are found again', () => {
    const ids = [0, 39, 7, 7];
    expect(idsOf(textOf(ids))).toEqual(ids);
  });
});

describe('the clock of the peers', () => {
  it('measures laps that follow each other', async () => {
    let cpu = 0;
    const watch = await new Clock(() => (cpu += 10)).start();
    const laps = await Promise.all([watch.lap(), watch.lap()]);
    expect(laps.map(({ cpuMs }) => cpuMs)).toEqual([10, 10]);
  });

  it.runIf(process.platform === 'linux')('knows the CPU time of a process', () => {
    expect(cpuTimeOf(process.pid)).toBeGreaterThan(0);
    expect(cpuTimeOf(2 ** 30)).toBeNaN();
  });
});

/** A block of Q4_0: the scale, an f16 number from 2^-8 on, and half bytes plus 8. */
function dequantize(block: Uint8Array): readonly number[] {
  const bits = (block[0] ?? 0) + 256 * (block[1] ?? 0);
  const scale = 2 ** ((bits >> 10) - 15) * (1 + (bits & 1023) / 1024);
  return Array.from({ length: 32 }, (_, i) => {
    const byte = block[2 + (i % 16)] ?? 0;
    return ((i < 16 ? byte & 15 : byte >> 4) - 8) * scale;
  });
}
