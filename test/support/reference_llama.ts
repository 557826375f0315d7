/**
 * LLaMA in float64 on the CPU, as plainly as it can be written, to make models of any size with their own expected
 * outputs. Rows are arrays of numbers; nothing is batched, cached or fused.
 */

/** Keys of config.json that matter here. */
export interface LlamaSizes {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim?: number;
  readonly num_hidden_layers: number;
  readonly vocab_size: number;
  readonly tie_word_embeddings?: boolean;
  readonly attention_bias?: boolean;
  readonly mlp_bias?: boolean;
  readonly sliding_window?: number | null;
}

export const ROPE_THETA = 10000;
export const NORM_EPS = 1e-5;

type Vector = readonly number[];
/** Values of a tensor of the checkpoint by its full name, row by row. */
export type WeightOf = (name: string) => ArrayLike<number>;

/** Shapes of every tensor of a checkpoint of this size. */
export function llamaShapes(sizes: LlamaSizes): Readonly<Record<string, readonly number[]>> {
  const { hidden_size: dim, intermediate_size: hidden, vocab_size: vocab } = sizes;
  const headDim = sizes.head_dim ?? dim / sizes.num_attention_heads;
  const q = sizes.num_attention_heads * headDim;
  const kv = sizes.num_key_value_heads * headDim;
  const shapes: Record<string, readonly number[]> = { 'model.embed_tokens.weight': [vocab, dim] };
  const linear = (name: string, out: number, input: number, hasBias: boolean | undefined): void => {
    shapes[`${name}.weight`] = [out, input];
    if (hasBias === true) shapes[`${name}.bias`] = [out];
  };
  for (let layer = 0; layer < sizes.num_hidden_layers; layer += 1) {
    const at = `model.layers.${layer}`;
    shapes[`${at}.input_layernorm.weight`] = [dim];
    shapes[`${at}.post_attention_layernorm.weight`] = [dim];
    linear(`${at}.self_attn.q_proj`, q, dim, sizes.attention_bias);
    linear(`${at}.self_attn.k_proj`, kv, dim, sizes.attention_bias);
    linear(`${at}.self_attn.v_proj`, kv, dim, sizes.attention_bias);
    linear(`${at}.self_attn.o_proj`, dim, q, sizes.attention_bias);
    linear(`${at}.mlp.gate_proj`, hidden, dim, sizes.mlp_bias);
    linear(`${at}.mlp.up_proj`, hidden, dim, sizes.mlp_bias);
    linear(`${at}.mlp.down_proj`, dim, hidden, sizes.mlp_bias);
  }
  shapes['model.norm.weight'] = [dim];
  if (sizes.tie_word_embeddings !== true) linear('lm_head', vocab, dim, false);
  return shapes;
}

/** Hidden states (embedding output, then each layer's; the last after the final norm) and logits at every position. */
export function runLlama(
  sizes: LlamaSizes,
  weight: WeightOf,
  tokens: readonly number[],
): { readonly hidden: readonly (readonly Vector[])[]; readonly logits: readonly Vector[] } {
  const { hidden_size: dim, num_attention_heads: heads, num_key_value_heads: kvHeads } = sizes;
  const headDim = sizes.head_dim ?? dim / heads;
  const window = sizes.sliding_window ?? Infinity;

  const table = weight('model.embed_tokens.weight');
  let h: Vector[] = tokens.map((token) =>
    Array.from({ length: dim }, (_, i) => table[token * dim + i] ?? 0),
  );
  const hidden = [h];
  for (let layer = 0; layer < sizes.num_hidden_layers; layer += 1) {
    const at = `model.layers.${layer}`;
    const project = (name: string, x: Vector, bias?: boolean): Vector =>
      multiply(
        weight(`${at}.${name}.weight`),
        x,
        bias === true ? weight(`${at}.${name}.bias`) : [],
      );
    const normed = h.map((x) => rmsNorm(x, weight(`${at}.input_layernorm.weight`)));
    const bias = sizes.attention_bias;
    const q = normed.map((x, p) => rotate(project('self_attn.q_proj', x, bias), headDim, p));
    const k = normed.map((x, p) => rotate(project('self_attn.k_proj', x, bias), headDim, p));
    const v = normed.map((x) => project('self_attn.v_proj', x, bias));
    h = h.map((x, p) => {
      const out = Array.from({ length: heads }, (_, head) => {
        const kv = Math.floor(head / (heads / kvHeads)) * headDim;
        const query = q[p]?.slice(head * headDim, (head + 1) * headDim) ?? [];
        const first = Math.max(0, p - window + 1);
        const seen = Array.from({ length: p - first + 1 }, (_, i) => first + i);
        const scores = seen.map(
          (j) => dot(query, k[j]?.slice(kv, kv + headDim) ?? []) / Math.sqrt(headDim),
        );
        const largest = Math.max(...scores);
        const p_j = scores.map((score) => Math.exp(score - largest));
        const sum = p_j.reduce((a, b) => a + b, 0);
        return Array.from({ length: headDim }, (_, d) =>
          seen.reduce((total, j, i) => total + ((p_j[i] ?? 0) / sum) * (v[j]?.[kv + d] ?? 0), 0),
        );
      }).flat();
      return add(x, project('self_attn.o_proj', out, bias));
    });
    h = h.map((x) => {
      const n = rmsNorm(x, weight(`${at}.post_attention_layernorm.weight`));
      const up = project('mlp.up_proj', n, sizes.mlp_bias);
      const gate = project('mlp.gate_proj', n, sizes.mlp_bias);
      const gated = gate.map((g, i) => (g / (1 + Math.exp(-g))) * (up[i] ?? 0));
      return add(x, project('mlp.down_proj', gated, sizes.mlp_bias));
    });
    hidden.push(h);
  }
  const last = h.map((x) => rmsNorm(x, weight('model.norm.weight')));
  hidden[hidden.length - 1] = last;
  const head = sizes.tie_word_embeddings === true ? table : weight('lm_head.weight');
  return { hidden, logits: last.map((x) => multiply(head, x, [])) };
}

function multiply(matrix: ArrayLike<number>, x: Vector, bias: ArrayLike<number>): Vector {
  return Array.from({ length: matrix.length / x.length }, (_, n) =>
    x.reduce((sum, value, k) => sum + value * (matrix[n * x.length + k] ?? 0), bias[n] ?? 0),
  );
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function add(a: Vector, b: Vector): Vector {
  return a.map((value, i) => value + (b[i] ?? 0));
}

function rmsNorm(x: Vector, weight: ArrayLike<number>): Vector {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + NORM_EPS);
  return x.map((value, i) => value * scale * (weight[i] ?? 0));
}

/** RoPE on every head: pairs (i, i + headDim / 2) turn by position · θ^(-2i / headDim). */
function rotate(x: Vector, headDim: number, position: number): Vector {
  const half = headDim / 2;
  return x.map((value, index) => {
    const d = index % headDim;
    const angle = position * ROPE_THETA ** ((-2 * (d % half)) / headDim);
    const other = d < half ? -(x[index + half] ?? 0) : (x[index - half] ?? 0);
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}
