/**
 * T5: an encoder and a decoder of pre-norm blocks, whose only notion of order is a bias on the attention scores that
 * depends on the distance of query and key.
 *
 *   x ← E[token]                                                     [T, dim]
 *   h ← h + Wo · softmax(q·k + b[bucket(key - query)]) v,   q, k, v from rmsnorm(h)
 *   h ← h + Wo · softmax(q·k) v,        decoder: q from rmsnorm(h), k and v from the encoder's result
 *   h ← h + Wd · (act(W0·n) ⊙ W1·n),    n = rmsnorm(h);  or h + Wd · act(Wi·n)
 *   logits = s · Wh · rmsnorm(h[sampled rows])                       [N, vocab]
 *
 * Scores are not divided by √headDim. The biases of layer 0 serve all layers, but in UMT5 each has its own. In Switch
 * Transformers some feed-forwards are experts, of which each token goes through one.
 *
 * Raffel et al. 2020, arXiv:1910.10683; Shazeer 2020 (gated: T5 1.1), arXiv:2002.05202; Xue et al. 2021 (mT5),
 * arXiv:2010.11934; Chung et al. 2023 (UMT5), arXiv:2304.09151; Fedus et al. 2022 (Switch), arXiv:2101.03961.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import { expertMatmul } from '../kernels/expert_matmul.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import type { RelativeBias } from '../kernels/attention.ts';
import { appendKv } from '../kernels/rope_append.ts';
import { route } from '../kernels/route.ts';
import { crossAttention, pagedAttention } from '../nn/attention.ts';
import type { Embedding } from '../nn/embedding.ts';
import { gatedLinear, linear, stackedLinear, tiedHead } from '../nn/linear.ts';
import { rmsNorm, type RmsNorm } from '../nn/norm.ts';
import { exactBuckets, relativeBias, type RelativeBuckets } from '../nn/relative_bias.ts';
import type { Step, TokenStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import { MAX_POSITIONS, type ConfigReader } from './config.ts';
import type { CrossPages, Decoder, EncoderModel, EncoderFamily, Seq2SeqFamily } from './family.ts';
import { expectClass, expectHead, lastHiddenState, vocabTables } from './seq2seq_parts.ts';

type Config = ReturnType<typeof readConfig>;

/** A part of a block with its norm and its residual connection. */
type Sublayer<S> = (h: Tensor, step: S) => Tensor;

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader) {
  const modelType = json.string('model_type');
  const dim = json.size('d_model');
  const heads = json.size('num_heads');
  const layers = json.layers('num_layers');
  const isTied = json.flag('tie_word_embeddings', true);
  // T5 1.1 says by an untied head that logits are not scaled; newer files have a key for it. mT5 never scales.
  const isScaled =
    modelType === 't5' ? json.flag('scale_decoder_outputs', isTied) : isTied && modelType !== 'mt5';
  return {
    dim,
    heads,
    kvHeads: heads,
    headDim: json.size('d_kv'),
    rotaryDim: 0,
    window: undefined,
    scale: 1,
    hiddenDim: json.size('d_ff'),
    layers,
    decoderLayers: json.layers('num_decoder_layers', layers),
    vocab: json.size('vocab_size'),
    normEps: json.positive('layer_norm_epsilon', 1e-6),
    isTied,
    logitScale: isScaled ? dim ** -0.5 : 1,
    hasBiasPerLayer: modelType === 'umt5',
    buckets: (bidirectional: boolean) => readBuckets(json, bidirectional),
    ...readFeedForward(json, modelType),
  };
}

function readBuckets(json: ConfigReader, bidirectional: boolean): RelativeBuckets {
  const buckets = json.size('relative_attention_num_buckets', 32);
  const maxDistance = json.size('relative_attention_max_distance', 128);
  const exact = exactBuckets({ buckets, bidirectional });
  if (exact === 0) {
    const least = bidirectional ? 4 : 2;
    throw json.fail('relative_attention_num_buckets', `is ${buckets}, expected at least ${least}`);
  }
  if (maxDistance <= exact || maxDistance > MAX_POSITIONS) {
    throw json.fail(
      'relative_attention_max_distance',
      `is ${maxDistance}, expected more than ${exact} and at most ${MAX_POSITIONS} for ${buckets} buckets`,
    );
  }
  return { buckets, maxDistance, bidirectional };
}

/** Far more than models have; each is looked for in the file. */
const MAX_EXPERTS = 65_536;

function readFeedForward(json: ConfigReader, modelType: string) {
  if (modelType === 'switch_transformers') {
    return {
      isGated: false,
      activation: json.activation('dense_act_fn', 'relu'),
      experts: json.size('num_experts', 8, MAX_EXPERTS),
      capacity: json.size('expert_capacity', 64),
      routerBias: json.flag('router_bias', false),
    };
  }
  const key = 'feed_forward_proj';
  const name = json.string(key, modelType === 't5' ? 'relu' : 'gated-gelu');
  const [, gated, plain = ''] = /^(gated-)?([^-]+)$/.exec(name) ?? [];
  if (plain === '')
    throw json.fail(key, `is "${name}", expected a name such as relu or gated-gelu`);
  const activation = name === 'gated-gelu' ? 'gelu_new' : plain;
  return {
    isGated: json.flag('is_gated_act', gated !== undefined),
    activation: json.activation('dense_act_fn', activation),
    experts: 0,
    capacity: 0,
    routerBias: false,
  };
}

function selfAttention(
  w: WeightScope,
  norm: RmsNorm,
  c: Config,
  layer: number,
  options: { readonly bias: RelativeBias; readonly causal: boolean },
): Sublayer<TokenStep> {
  const inner = c.heads * c.headDim;
  const project = stackedLinear(w, c.dim, { q: inner, k: inner, v: inner }, { norm });
  const attend = pagedAttention({ ...c, ...options }, layer);
  const output = linear(w.at('o'), inner, c.dim);
  return (h, step) => output(attend(project(h), step), h);
}

function encoderAttention(w: WeightScope, norm: RmsNorm, c: Config, layer: number) {
  const inner = c.heads * c.headDim;
  const query = linear(w.at('q'), c.dim, inner, { norm });
  const attend = crossAttention(c, layer);
  const output = linear(w.at('o'), inner, c.dim);
  const keysAndValues = stackedLinear(w, c.dim, { k: inner, v: inner });
  return {
    run: (h: Tensor, step: Step): Tensor => output(attend(query(h), step), h),
    store: (hidden: Tensor, cross: CrossPages): void =>
      appendKv(keysAndValues(hidden), cross.attention, cross.kv(layer)),
  };
}

function dense(w: WeightScope, norm: RmsNorm, c: Config): Sublayer<TokenStep> {
  const output = linear(w.at('wo'), c.hiddenDim, c.dim);
  if (c.isGated) {
    const outDims = { wi_0: c.hiddenDim, wi_1: c.hiddenDim };
    const gateUp = gatedLinear(w, c.dim, outDims, c.activation, { norm });
    return (h) => output(gateUp(h), h);
  }
  const { activation } = c;
  const input = linear(w.at('wi'), c.dim, c.hiddenDim, { norm, activation });
  return (h) => output(input(h), h);
}

/** h ↦ h + p · Wo[e] · act(Wi[e] · n), n = norm(h), for the expert e that the router gives the probability p. */
function sparse(w: WeightScope, norm: RmsNorm, c: Config): Sublayer<TokenStep> {
  const { experts, activation } = c;
  const stacked = (name: string, rows: number): Readonly<Record<string, number>> =>
    Object.fromEntries(
      Array.from({ length: experts }, (_, i) => [`expert_${i}.${name}.weight`, rows]),
    );
  const router = linear(w.at('router', 'classifier').as('exact'), c.dim, experts, {
    bias: c.routerBias,
  });
  const input = w.at('experts').matrix(stacked('wi', c.hiddenDim), c.dim);
  const output = w.at('experts').matrix(stacked('wo', c.dim), c.hiddenDim);
  return (h, step) => {
    const x = norm(h);
    const chosen = route(router(x), step.attention, c);
    const hidden = expertMatmul(x, input, chosen.experts, { experts, activation });
    const rowScale = chosen.weights;
    return expertMatmul(hidden, output, chosen.experts, { experts, rowScale, residual: h });
  };
}

/** A block's last sublayer with its norm. Which layers have experts shows in what the file holds. */
function feedForward(w: WeightScope, c: Config): Sublayer<TokenStep> {
  const norm = rmsNorm(w.at('layer_norm'), c.dim, c.normEps);
  const isSparse = w.has('mlp.router.classifier.weight');
  const isSwitch = c.experts > 0;
  return isSparse
    ? sparse(w.at('mlp'), norm, c)
    : dense(w.at(isSwitch ? 'mlp' : 'DenseReluDense'), norm, c);
}

/** Self-attention with its norm, for each layer of the encoder or the decoder. */
function selfAttentions(w: WeightScope, c: Config, causal: boolean) {
  const buckets = { ...c.buckets(!causal), heads: c.heads };
  const scope = (layer: number): WeightScope => w.at('block', layer, 'layer', 0);
  const biasOf = (layer: number): RelativeBias =>
    relativeBias(scope(layer).at('SelfAttention'), 'relative_attention_bias.weight', buckets);
  const shared = c.hasBiasPerLayer ? undefined : biasOf(0);
  return (layer: number): Sublayer<TokenStep> => {
    const norm = rmsNorm(scope(layer).at('layer_norm'), c.dim, c.normEps);
    const bias = shared ?? biasOf(layer);
    return selfAttention(scope(layer).at('SelfAttention'), norm, c, layer, { bias, causal });
  };
}

function loadEncoder(w: WeightScope, c: Config, embed: Embedding): EncoderModel {
  const attention = selfAttentions(w, c, false);
  const blocks = Array.from({ length: c.layers }, (_, i) => ({
    attend: attention(i),
    feed: feedForward(w.at('block', i, 'layer', 1), c),
  }));
  const norm = rmsNorm(w.at('final_layer_norm'), c.dim, c.normEps);
  return {
    kv: { ...c, layers: 1 },
    ropes: [],
    vocab: c.vocab,
    maxPositions: Infinity,
    dim: c.dim,
    tokenTypes: 0,
    outputs: lastHiddenState(c.dim),
    encode(step) {
      let h = embed(step.tokens, step.lastTokens);
      for (const [layer, { attend, feed }] of blocks.entries()) {
        h = feed(attend(step.tap(`hidden_states.${layer}`, h), step), step);
      }
      const last = norm(h);
      step.tap(`hidden_states.${c.layers}`, last);
      return step.tap('encoder_last_hidden_state', last);
    },
  };
}

/** The decoder, and what stores an encoder's result for it. */
function loadDecoder(w: WeightScope, c: Config, embed: Embedding, head: Pick<Embedding, 'weight'>) {
  const attention = selfAttentions(w, c, true);
  const blocks = Array.from({ length: c.decoderLayers }, (_, i) => {
    const at = (part: number): WeightScope => w.at('block', i, 'layer', part);
    const crossNorm = rmsNorm(at(1).at('layer_norm'), c.dim, c.normEps);
    return {
      attend: attention(i),
      cross: encoderAttention(at(1).at('EncDecAttention'), crossNorm, c, i),
      feed: feedForward(at(2), c),
    };
  });
  const norm = rmsNorm(w.at('final_layer_norm'), c.dim, c.normEps);
  const logits = tiedHead(head, { scale: c.logitScale });

  const decoder: Decoder = {
    kv: { ...c, layers: c.decoderLayers },
    ropes: [],
    vocab: c.vocab,
    maxPositions: Infinity,
    forward(step) {
      let h = embed(step.tokens, step.lastTokens);
      for (const { attend, cross, feed } of blocks) {
        h = attend(h, step);
        h = cross.run(h, step);
        h = feed(h, step);
      }
      return step.tap('logits', logits(norm(gatherRows(h, step.sampleRows))));
    },
  };
  const store = (hidden: Tensor, pages: CrossPages): void => {
    for (const { cross } of blocks) cross.store(hidden, pages);
  };
  return { decoder, store };
}

const MODEL_TYPES = ['t5', 'mt5', 'umt5', 'switch_transformers'] as const;
const CLASS_PREFIXES = ['T5', 'MT5', 'UMT5', 'SwitchTransformers'] as const;
const classes = (suffix: string): readonly string[] => CLASS_PREFIXES.map((name) => name + suffix);

/** `T5WithLMHeadModel` is the name before Transformers 4. */
const GENERATORS = [...classes('ForConditionalGeneration'), 'T5WithLMHeadModel'];

function tablesOf(w: WeightScope, c: Config) {
  const { vocab, dim, isTied } = c;
  return vocabTables(w, '', { vocab, decoderVocab: vocab, dim, isShared: true, isTied });
}

/** Runs T5, T5 1.1, Flan-T5, ByT5, mT5, UMT5, Switch Transformers and other checkpoints of the same network. */
export const t5: Seq2SeqFamily = {
  modelTypes: MODEL_TYPES,

  load(json, w) {
    expectClass(json, GENERATORS);
    const c = readConfig(json);
    expectHead(json, w, c.isTied);
    const tables = tablesOf(w, c);
    const encoder = loadEncoder(w.at('encoder'), c, tables.encoder());
    const { decoder, store } = loadDecoder(w.at('decoder'), c, tables.decoder(), tables.head());
    return { encoder, decoder, storeCross: (hidden, _, pages) => store(hidden, pages) };
  },
};

/** Runs the encoder alone, of checkpoints that have nothing else and of whole ones. */
export const t5Encoder: EncoderFamily = {
  modelTypes: MODEL_TYPES,

  load(json, w) {
    expectClass(json, [...classes('EncoderModel'), ...classes('Model'), ...GENERATORS]);
    const c = readConfig(json);
    return loadEncoder(w.at('encoder'), c, tablesOf(w, c).encoder());
  },
};
