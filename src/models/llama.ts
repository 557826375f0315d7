/**
 * LLaMA decoder: pre-norm blocks of rotary grouped-query attention and a SwiGLU feed-forward.
 *
 *   h ← E[token]                                               [T, dim]
 *   h ← h + Wo · attention(R(Wq·n), R(Wk·n), Wv·n),   n = rmsnorm(h)
 *   h ← h + Wd · (silu(Wg·n) ⊙ (Wu·n)),               n = rmsnorm(h)
 *   logits = Wh · rmsnorm(h[sampled rows])                     [N, vocab]
 *
 * T is the number of tokens in the step, N the number of rows whose logits are asked for.
 *
 * Touvron et al. 2023, arXiv:2302.13971; Ainslie et al. 2023 (GQA), arXiv:2305.13245;
 * Jiang et al. 2023 (Mistral: the same network with a sliding window), arXiv:2310.06825.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import { pagedAttention } from '../nn/attention.ts';
import { embedding } from '../nn/embedding.ts';
import { gatedLinear, linear, stackedLinear, tiedHead } from '../nn/linear.ts';
import { rmsNorm, type RmsNorm } from '../nn/norm.ts';
import type { Step } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { ConfigReader } from './config.ts';
import type { DecoderFamily } from './family.ts';

type Config = ReturnType<typeof readConfig>;

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader) {
  const dim = json.size('hidden_size');
  const { heads, kvHeads, headDim } = json.attentionHeads(dim);
  const rope = json.rope(headDim);
  const isMistral = json.string('model_type') === 'mistral'; // LLaMA ignores the key below
  return {
    dim,
    heads,
    kvHeads,
    headDim,
    ropes: [rope],
    rotaryDim: rope.rotaryDim,
    hiddenDim: json.size('intermediate_size'),
    layers: json.layers('num_hidden_layers'),
    vocab: json.size('vocab_size'),
    maxPositions: json.size('max_position_embeddings', 2048),
    normEps: json.positive('rms_norm_eps', 1e-6),
    window: isMistral ? json.optionalSize('sliding_window') : undefined,
    activation: json.activation('hidden_act', 'silu'),
    attentionBias: json.flag('attention_bias', false),
    feedForwardBias: json.flag('mlp_bias', false),
    tiedEmbeddings: json.flag('tie_word_embeddings', false),
  };
}

/** h ↦ h + Wo · attention(R(Wq·n), R(Wk·n), Wv·n),   n = norm(h) */
function selfAttention(w: WeightScope, norm: RmsNorm, c: Config, layer: number) {
  const kvDim = c.kvHeads * c.headDim;
  const outDims = { q_proj: c.heads * c.headDim, k_proj: kvDim, v_proj: kvDim };
  const project = stackedLinear(w, c.dim, outDims, { norm, bias: c.attentionBias });
  const attend = pagedAttention(c, layer);
  const output = linear(w.at('o_proj'), c.heads * c.headDim, c.dim, { bias: c.attentionBias });

  return (h: Tensor, step: Step): Tensor => output(attend(project(h), step), h);
}

/** h ↦ h + Wd · (silu(Wg·n) ⊙ (Wu·n)),   n = norm(h) */
function feedForward(w: WeightScope, norm: RmsNorm, c: Config) {
  const outDims = { gate_proj: c.hiddenDim, up_proj: c.hiddenDim };
  const bias = c.feedForwardBias;
  const gateUp = gatedLinear(w, c.dim, outDims, c.activation, { norm, bias });
  const down = linear(w.at('down_proj'), c.hiddenDim, c.dim, { bias });

  return (h: Tensor): Tensor => down(gateUp(h), h);
}

function block(w: WeightScope, c: Config, layer: number) {
  const attentionNorm = rmsNorm(w.at('input_layernorm'), c.dim, c.normEps);
  const attend = selfAttention(w.at('self_attn'), attentionNorm, c, layer);
  const feedForwardNorm = rmsNorm(w.at('post_attention_layernorm'), c.dim, c.normEps);
  const feed = feedForward(w.at('mlp'), feedForwardNorm, c);

  return (h: Tensor, step: Step): Tensor => feed(attend(h, step));
}

/** Runs LLaMA 1–3.x, Mistral 7B, TinyLlama, SmolLM2 and other checkpoints of the same network. */
export const llama: DecoderFamily = {
  modelTypes: ['llama', 'mistral'],

  load(json, weights) {
    const c = readConfig(json);
    const w = weights.at('model');
    const embed = embedding(w.at('embed_tokens'), c.vocab, c.dim);
    const blocks = Array.from({ length: c.layers }, (_, i) => block(w.at('layers', i), c, i));
    const norm = rmsNorm(w.at('norm'), c.dim, c.normEps);
    const head = c.tiedEmbeddings
      ? tiedHead(embed)
      : linear(weights.at('lm_head').as('end'), c.dim, c.vocab);

    return {
      kv: c,
      ropes: c.ropes,
      vocab: c.vocab,
      maxPositions: c.maxPositions,
      forward(step) {
        let h = embed(step.tokens, step.lastTokens);
        for (const [layer, run] of blocks.entries()) {
          h = run(step.tap(`hidden_states.${layer}`, h), step);
        }
        const last = norm(gatherRows(h, step.sampleRows));
        step.tap(`hidden_states.${c.layers}`, last);
        return step.tap('logits', head(last));
      },
    };
  },
};
