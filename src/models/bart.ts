/**
 * BART and its kin: the encoder-decoder Transformer, with positions added to the embeddings.
 *
 *   h ← s · E[token] + P[position]                                   [T, dim]
 *   h ← sublayer by sublayer: h + f(layernorm(h)) (pre-norm) or layernorm(h + f(h)) (post-norm), for f =
 *     Wo · attention(Wq·x, Wk·x, Wv·x)                               self-attention, in the decoder causal
 *     Wo · attention(Wq·x, Wk·y, Wv·y)                               decoder: y is the encoder's result
 *     W2 · act(W1·x)
 *   logits = Wh · h[sampled rows] + b                                [N, vocab]
 *
 * where every W but Wh has a bias. BART and mBART normalize the embeddings; pre-norm models normalize the result.
 *
 * Vaswani et al. 2017, arXiv:1706.03762; Lewis et al. 2020 (BART), arXiv:1910.13461; Liu et al. 2020 (mBART),
 * arXiv:2001.08210; Zhang et al. 2020 (Pegasus), arXiv:1912.08777; Junczys-Dowmunt et al. 2018 (Marian),
 * arXiv:1804.00344; Fan et al. 2021 (M2M-100), arXiv:2010.11125.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import type { Matrix } from '../kernels/matrix.ts';
import { positionEmbedding } from '../kernels/position_embedding.ts';
import { appendKv } from '../kernels/rope_append.ts';
import { crossAttention, pagedAttention } from '../nn/attention.ts';
import { positions, type Embedding } from '../nn/embedding.ts';
import { linear, stackedLinear, tiedHead, type Linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import { fairseqSinusoids, sinusoids } from '../nn/sinusoids.ts';
import type { Step, TokenStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import { MAX_POSITIONS, type ConfigReader } from './config.ts';
import type { CrossPages, Decoder, EncoderModel, Seq2SeqFamily } from './family.ts';
import { expectClass, expectHead, lastHiddenState, vocabTables } from './seq2seq_parts.ts';

/** How the networks of the family differ. */
interface Variant {
  readonly isPreNorm: boolean;
  readonly hasEmbeddingNorm: boolean;
  /** Learned, or waves: the original Transformer's, or fairseq's, which do not count padding. */
  readonly positions: 'learned' | 'sinusoidal' | 'fairseq';
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  bart: { isPreNorm: false, hasEmbeddingNorm: true, positions: 'learned' },
  mbart: { isPreNorm: true, hasEmbeddingNorm: true, positions: 'learned' },
  pegasus: { isPreNorm: true, hasEmbeddingNorm: false, positions: 'sinusoidal' },
  marian: { isPreNorm: false, hasEmbeddingNorm: false, positions: 'sinusoidal' },
  m2m_100: { isPreNorm: true, hasEmbeddingNorm: false, positions: 'fairseq' },
};

const CLASSES = [
  'BartForConditionalGeneration',
  'MBartForConditionalGeneration',
  'PegasusForConditionalGeneration',
  'MarianMTModel',
  'M2M100ForConditionalGeneration',
];

/** Rows before that of place 0 in BART's tables of learned positions: left over from padding that was counted. */
const LEARNED_OFFSET = 2;
/** Of all layer norms. */
const EPS = 1e-5;

type Config = ReturnType<typeof readConfig>;
type Side = ReturnType<typeof readSide>;
type Sublayer<S> = (h: Tensor, step: S) => Tensor;

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader) {
  const modelType = json.string('model_type');
  const variant = VARIANTS[modelType];
  if (variant === undefined) {
    throw json.fail('model_type', `is not one of: ${Object.keys(VARIANTS).join(', ')}`);
  }
  const isM2m = modelType === 'm2m_100';
  const dim = json.size('d_model');
  const vocab = json.size('vocab_size');
  const isShared = modelType !== 'marian' || json.flag('share_encoder_decoder_embeddings', true);
  return {
    ...variant,
    dim,
    vocab,
    isShared,
    decoderVocab: isShared ? vocab : json.size('decoder_vocab_size', vocab),
    isTied: json.flag('tie_word_embeddings', true),
    scale: json.flag('scale_embedding', isM2m) ? Math.sqrt(dim) : 1,
    activation: json.activation('activation_function', isM2m ? 'relu' : 'gelu'),
    maxPositions: json.size('max_position_embeddings', 1024, MAX_POSITIONS),
    uncountedId: variant.positions === 'fairseq' ? readPadding(json, vocab) : undefined,
    encoder: readSide(json, 'encoder', dim),
    decoder: readSide(json, 'decoder', dim),
  };
}

/** Id of the padding, which has a row of its own in the table of positions, after those of smaller ids. */
function readPadding(json: ConfigReader, vocab: number): number {
  const id = json.count('pad_token_id', 1);
  if (id < vocab) return id;
  throw json.fail('pad_token_id', `is ${id}, expected a token id from 0 to ${vocab - 1}`);
}

function readSide(json: ConfigReader, side: 'encoder' | 'decoder', dim: number) {
  return {
    ...json.equalHeads(`${side}_attention_heads`, dim, 'd_model'),
    rotaryDim: 0,
    window: undefined,
    layers: json.layers(`${side}_layers`),
    hiddenDim: json.size(`${side}_ffn_dim`),
    isCausal: side === 'decoder',
  };
}

/** A sublayer f with its norm and residual connection. */
function withNorm<S>(
  w: WeightScope,
  c: Config,
  f: (x: Tensor, step: S, residual: Tensor) => Tensor,
): Sublayer<S> {
  const norm = layerNorm(w, c.dim, EPS);
  return c.isPreNorm ? (h, step) => f(norm(h), step, h) : (h, step) => norm(f(h, step, h));
}

function selfAttention(w: WeightScope, c: Config, side: Side, layer: number): Sublayer<TokenStep> {
  const at = w.at('self_attn');
  const project = stackedLinear(
    at,
    c.dim,
    { q_proj: c.dim, k_proj: c.dim, v_proj: c.dim },
    { bias: true },
  );
  const attend = pagedAttention({ ...side, causal: side.isCausal }, layer);
  const output = linear(at.at('out_proj'), c.dim, c.dim, { bias: true });
  return withNorm(w.at('self_attn_layer_norm'), c, (x, step, residual) =>
    output(attend(project(x), step), residual),
  );
}

function encoderAttention(w: WeightScope, c: Config, layer: number) {
  const at = w.at('encoder_attn');
  const query = linear(at.at('q_proj'), c.dim, c.dim, { bias: true });
  const attend = crossAttention(c.decoder, layer);
  const output = linear(at.at('out_proj'), c.dim, c.dim, { bias: true });
  const keysAndValues = stackedLinear(at, c.dim, { k_proj: c.dim, v_proj: c.dim }, { bias: true });
  const run = withNorm<Step>(w.at('encoder_attn_layer_norm'), c, (x, step, residual) =>
    output(attend(query(x), step), residual),
  );
  const store = (hidden: Tensor, cross: CrossPages): void =>
    appendKv(keysAndValues(hidden), cross.attention, cross.kv(layer));
  return { run, store };
}

function feedForward(w: WeightScope, c: Config, side: Side): Sublayer<TokenStep> {
  const input = linear(w.at('fc1'), c.dim, side.hiddenDim, {
    bias: true,
    activation: c.activation,
  });
  const output = linear(w.at('fc2'), side.hiddenDim, c.dim, { bias: true });
  return withNorm(w.at('final_layer_norm'), c, (x, _, residual) => output(input(x), residual));
}

/** step ↦ the input of the first layer. */
function embeddings(w: WeightScope, c: Config, embed: Embedding, waves: Matrix | undefined) {
  const place = addPositions(w.at('embed_positions'), c, waves);
  const norm = c.hasEmbeddingNorm
    ? layerNorm(w.at('layernorm_embedding'), c.dim, EPS)
    : (h: Tensor): Tensor => h;
  return (step: TokenStep): Tensor => norm(place(embed(step.tokens, step.lastTokens), step));
}

function addPositions(
  w: WeightScope,
  c: Config,
  waves: Matrix | undefined,
): (x: Tensor, step: TokenStep) => Tensor {
  if (waves === undefined) {
    const offset = c.positions === 'learned' ? LEARNED_OFFSET : 0;
    return positions(w, c.maxPositions + offset, c.dim, { offset });
  }
  const { uncountedId } = c;
  if (uncountedId === undefined)
    return (x, step) => positionEmbedding(x, step, waves, { offset: 0 });
  const options = { offset: uncountedId + 1, uncountedId, uncountedRow: uncountedId };
  return (x, step) => positionEmbedding(x, step, waves, options);
}

/** The table of sinusoidal positions, for both sides; none where the file holds them. */
function computeWaves(w: WeightScope, c: Config): Matrix | undefined {
  const { dim, maxPositions, uncountedId } = c;
  if (uncountedId !== undefined) {
    const rows = maxPositions + uncountedId + 1;
    return w.computed('positions', rows, dim, fairseqSinusoids(rows, dim, uncountedId));
  }
  if (c.positions === 'learned' || w.has('encoder.embed_positions.weight')) return undefined;
  return w.computed('positions', maxPositions, dim, sinusoids(maxPositions, dim));
}

type Embed = ReturnType<typeof embeddings>;

function loadEncoder(w: WeightScope, c: Config, embed: Embed): EncoderModel {
  const { encoder: side } = c;
  const blocks = Array.from({ length: side.layers }, (_, i) => ({
    attend: selfAttention(w.at('layers', i), c, side, i),
    feed: feedForward(w.at('layers', i), c, side),
  }));
  const norm = lastNorm(w, c);
  return {
    kv: { ...side, layers: 1 },
    ropes: [],
    vocab: c.vocab,
    maxPositions: c.maxPositions,
    uncountedId: c.uncountedId,
    dim: c.dim,
    tokenTypes: 0,
    outputs: lastHiddenState(c.dim),
    encode(step) {
      let h = embed(step);
      for (const { attend, feed } of blocks) h = feed(attend(h, step), step);
      return step.tap('encoder_last_hidden_state', norm(h));
    },
  };
}

/** The decoder, and what stores an encoder's result for it. */
function loadDecoder(w: WeightScope, c: Config, embed: Embed, head: Linear) {
  const { decoder: side } = c;
  const blocks = Array.from({ length: side.layers }, (_, i) => ({
    attend: selfAttention(w.at('layers', i), c, side, i),
    cross: encoderAttention(w.at('layers', i), c, i),
    feed: feedForward(w.at('layers', i), c, side),
  }));
  const norm = lastNorm(w, c);
  const decoder: Decoder = {
    kv: side,
    ropes: [],
    vocab: c.decoderVocab,
    maxPositions: c.maxPositions,
    uncountedId: c.uncountedId,
    forward(step) {
      let h = embed(step);
      for (const { attend, cross, feed } of blocks) {
        h = feed(cross.run(attend(h, step), step), step);
      }
      return step.tap('logits', head(norm(gatherRows(h, step.sampleRows))));
    },
  };
  const store = (hidden: Tensor, pages: CrossPages): void => {
    for (const { cross } of blocks) cross.store(hidden, pages);
  };
  return { decoder, store };
}

/** The norm of a pre-norm model's result. */
function lastNorm(w: WeightScope, c: Config): (h: Tensor) => Tensor {
  return c.isPreNorm ? layerNorm(w.at('layer_norm'), c.dim, EPS) : (h) => h;
}

/** Runs BART, mBART, Pegasus, Marian (OPUS-MT), M2M-100, NLLB and other checkpoints of the same networks. */
export const bart: Seq2SeqFamily = {
  modelTypes: Object.keys(VARIANTS),

  load(json, weights) {
    expectClass(json, CLASSES);
    const c = readConfig(json);
    expectHead(json, weights, c.isTied);
    // A checkpoint without a head, which need not have one of its own, has the rest at its root.
    const isNested = weights.has('model.encoder.layers.0.fc1.weight');
    const w = isNested ? weights.at('model') : weights;
    const tables = vocabTables(weights, isNested ? 'model.' : '', c);
    const waves = computeWaves(w, c);
    const [encoderScope, decoderScope] = [w.at('encoder'), w.at('decoder')];
    const embedSource = embeddings(encoderScope, c, tables.encoder(), waves);
    const encoder = loadEncoder(encoderScope, c, embedSource);

    const bias = weights.has('final_logits_bias')
      ? weights.vector({ final_logits_bias: c.decoderVocab })
      : undefined;
    const head = tiedHead(tables.head(), { bias });
    const embedTarget = embeddings(decoderScope, c, tables.decoder(), waves);
    const { decoder, store } = loadDecoder(decoderScope, c, embedTarget, head);
    return { encoder, decoder, storeCross: (hidden, _, pages) => store(hidden, pages) };
  },
};
