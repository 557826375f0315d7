/**
 * ModernBERT: an encoder of pre-norm blocks with rotary attention, most of it local, and a gated feed-forward.
 *
 *   h ← norm(E[token])                                                       [T, dim]
 *   h ← h + Wo · attention(R(Wq·n), R(Wk·n), Wv·n),   n = norm(h); in layer 0: n = h
 *   h ← h + Wd · (act(Wg·n) ⊙ (Wu·n)),                n = norm(h)
 *   y = norm(h)
 *
 * Global layers see the whole sequence, local ones `local_attention` / 2 tokens to each side; each kind has its own
 * rotation R. Warner et al. 2024, arXiv:2412.13663.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import { pagedAttention } from '../nn/attention.ts';
import { embedding } from '../nn/embedding.ts';
import { gatedLinear, linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { EncoderStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { ConfigReader } from './config.ts';
import {
  encoderOutputs,
  firstToken,
  maskedLanguage,
  meanOfTokens,
  multipleChoice,
  questionAnswering,
  sequenceClassification,
  tokenClassification,
  type Head,
  type Pool,
} from './encoder_heads.ts';
import type { EncoderFamily } from './family.ts';

type Config = ReturnType<typeof readConfig>;

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader) {
  const dim = json.size('hidden_size');
  const { heads, kvHeads, headDim } = json.equalHeads('num_attention_heads', dim, 'hidden_size');
  const layers = json.layers('num_hidden_layers');
  return {
    dim,
    heads,
    kvHeads,
    headDim,
    rotaryDim: headDim,
    causal: false,
    hiddenDim: json.size('intermediate_size'),
    layers,
    isGlobal: readLayerTypes(json, layers),
    reach: Math.floor(json.size('local_attention', 128) / 2),
    ropes: [
      json.rope(headDim, {
        layerType: 'full_attention',
        thetaKey: 'global_rope_theta',
        theta: 160_000,
      }),
      json.rope(headDim, {
        layerType: 'sliding_attention',
        thetaKey: 'local_rope_theta',
        theta: 10_000,
      }),
    ],
    vocab: json.size('vocab_size'),
    maxPositions: json.size('max_position_embeddings', 8192),
    normEps: json.positive('norm_eps', 1e-5),
    activation: json.activation('hidden_activation', 'gelu'),
    normBias: json.flag('norm_bias', false),
    attentionBias: json.flag('attention_bias', false),
    feedForwardBias: json.flag('mlp_bias', false),
    headActivation: json.activation('classifier_activation', 'gelu'),
    headBias: {
      dense: json.flag('classifier_bias', false),
      norm: json.flag('norm_bias', false),
      vocab: json.flag('decoder_bias', true),
    },
    pool: readPooling(json),
  };
}

/** Whether each layer sees the whole sequence: `layer_types`, or one in so many in older repositories. */
function readLayerTypes(json: ConfigReader, layers: number): readonly boolean[] {
  const types = json.raw('layer_types');
  if (types === undefined) {
    const every = json.size('global_attn_every_n_layers', 3);
    return Array.from({ length: layers }, (_, i) => i % every === 0);
  }
  const known = ['full_attention', 'sliding_attention'];
  const isValid = Array.isArray(types) && types.every((type) => known.includes(type));
  if (!isValid || types.length !== layers) {
    throw json.fail(
      'layer_types',
      `is ${JSON.stringify(types)}, expected ${layers} of: ${known.join(', ')}`,
    );
  }
  return types.map((type) => type === 'full_attention');
}

function readPooling(json: ConfigReader): Pool {
  const pooling = json.string('classifier_pooling', 'cls');
  if (pooling === 'cls') return firstToken;
  if (pooling === 'mean') return meanOfTokens;
  throw json.fail('classifier_pooling', `is "${pooling}", expected one of: cls, mean`);
}

function block(w: WeightScope, c: Config, layer: number) {
  const norm = (name: string) => layerNorm(w.at(name), c.dim, c.normEps, c.normBias);
  const isGlobal = c.isGlobal[layer] === true;
  const view = isGlobal ? { window: undefined, rope: 0 } : { window: c.reach, rope: 1 };

  const attentionNorm = layer === 0 ? (x: Tensor) => x : norm('attn_norm');
  const project = linear(w.at('attn', 'Wqkv'), c.dim, 3 * c.dim, { bias: c.attentionBias });
  const attend = pagedAttention({ ...c, ...view }, 0);
  const output = linear(w.at('attn', 'Wo'), c.dim, c.dim, { bias: c.attentionBias });
  const feedForwardNorm = norm('mlp_norm');
  const bias = c.feedForwardBias;
  const gateUp = gatedLinear(w.at('mlp'), c.dim, { Wi: 2 * c.hiddenDim }, c.activation, { bias });
  const down = linear(w.at('mlp', 'Wo'), c.hiddenDim, c.dim, { bias });

  return (h: Tensor, step: EncoderStep): Tensor => {
    const attended = output(attend(project(attentionNorm(h)), step), h);
    return down(gateUp(feedForwardNorm(attended)), attended);
  };
}

function headsOf(c: Config): Readonly<Record<string, Head>> {
  const transform = { dense: 'head.dense', activation: c.headActivation, norm: 'head.norm' };
  const classifier = { ...transform, out: 'classifier' };
  return {
    ForMaskedLM: maskedLanguage({ ...transform, out: 'decoder' }),
    ForSequenceClassification: sequenceClassification(classifier, c.pool),
    ForMultipleChoice: multipleChoice(classifier, c.pool),
    ForTokenClassification: tokenClassification(classifier),
    ForQuestionAnswering: questionAnswering(classifier),
  };
}

/** Runs ModernBERT. */
export const modernbert: EncoderFamily = {
  modelTypes: ['modernbert'],

  load(json, weights) {
    const c = readConfig(json);
    // A checkpoint without a head has the encoder's weights at its root.
    const isNested = weights.has('model.embeddings.tok_embeddings.weight');
    const w = isNested ? weights.at('model') : weights;
    const embed = embedding(w.at('embeddings', 'tok_embeddings'), c.vocab, c.dim);
    const norm = (...path: readonly string[]) =>
      layerNorm(w.at(...path), c.dim, c.normEps, c.normBias);
    const embeddingNorm = norm('embeddings', 'norm');
    const blocks = Array.from({ length: c.layers }, (_, i) => block(w.at('layers', i), c, i));
    const finalNorm = norm('final_norm');

    return {
      kv: { ...c, layers: 1, window: undefined },
      ropes: c.ropes,
      vocab: c.vocab,
      maxPositions: c.maxPositions,
      dim: c.dim,
      tokenTypes: 0,
      encode(step) {
        let h = embeddingNorm(embed(step.tokens, step.lastTokens));
        for (const [layer, run] of blocks.entries()) {
          h = run(step.tap(`hidden_states.${layer}`, h), step);
        }
        return step.tap(`hidden_states.${c.layers}`, finalNorm(h));
      },
      ...encoderOutputs(
        { json, weights, embed, dim: c.dim, normEps: c.normEps, bias: c.headBias },
        { className: 'ModernBert', heads: headsOf(c), isNested },
      ),
    };
  },
};
