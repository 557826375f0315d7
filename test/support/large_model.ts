import { openDirectory } from '../../src/node/directory.ts';
import type { ByteSource, ModelSource } from '../../src/weights/source.ts';
import { llamaShapes } from './reference_llama.ts';
import { memoryBytes } from './memory_source.ts';
import { rawFile } from './safetensors_file.ts';
import { CHAT_MODEL } from './model_files.ts';

const SIZES = {
  hidden_size: 1024,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  vocab_size: 4096,
};

/** Bytes of weights in one layer, and outside of the layers, at the sizes above in f16. */
const [LAYER_BYTES, OTHER_BYTES] = [bytesOf(1) - bytesOf(0), bytesOf(0)];

/** 0x2b2b is 0.056 in f16. */
const WEIGHT_BYTE = 0x2b;

/**
 * A LLaMA of at least this many bytes of f16 weights, all the same, which exist only while they are read. It has
 * TinyChat's tokenizer.
 */
export function largeModel(weightBytes: number): ModelSource {
  const tokenizer = openDirectory(CHAT_MODEL);
  const layers = Math.ceil((weightBytes - OTHER_BYTES) / LAYER_BYTES);
  const config = {
    ...SIZES,
    model_type: 'llama',
    hidden_act: 'silu',
    max_position_embeddings: 512,
    num_hidden_layers: layers,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: false,
  };
  const configFile = memoryBytes('config.json', new TextEncoder().encode(JSON.stringify(config)));
  const weights = weightFile(layers);
  return {
    name: 'large model',
    async open(path, signal) {
      if (path === 'config.json') return configFile;
      if (path === 'model.safetensors') return weights;
      return path.startsWith('tokenizer') ? tokenizer.open(path, signal) : undefined;
    },
  };
}

function weightFile(layers: number): ByteSource {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, shape] of Object.entries(shapes(layers))) {
    const end = offset + elements(shape) * 2;
    header[name] = { dtype: 'F16', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const head = rawFile(JSON.stringify(header));
  return {
    name: 'model.safetensors',
    size: head.length + offset,
    async read(begin, end) {
      const bytes = new Uint8Array(end - begin).fill(WEIGHT_BYTE);
      bytes.set(head.subarray(begin, end));
      return bytes;
    },
  };
}

function shapes(layers: number): Readonly<Record<string, readonly number[]>> {
  return llamaShapes({ ...SIZES, num_hidden_layers: layers });
}

function bytesOf(layers: number): number {
  return Object.values(shapes(layers)).reduce((sum, shape) => sum + elements(shape) * 2, 0);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
