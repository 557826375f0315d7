/**
 * BERT and its relatives: encoders of post-norm blocks with full attention.
 *
 *   h ← norm(E[token] + types[type] + positions[place])       [T, dim]
 *   h ← norm(h + Wo · attention(Wq·h, Wk·h, Wv·h))
 *   h ← norm(h + W2 · act(W1·h))
 *
 * The relatives leave out types, number positions without padding (RoBERTa), have narrower embeddings (ELECTRA,
 * ALBERT: h ← Wp·h after the first norm), share weights among layers (ALBERT), or add a relative position bias to
 * the attention scores (MPNet); `bert_dialects.ts` describes each.
 *
 * Devlin et al. 2018, arXiv:1810.04805; the others are cited in `bert_dialects.ts`.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import type { RelativeBias } from '../kernels/attention.ts';
import { pagedAttention } from '../nn/attention.ts';
import { linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import { relativeBuckets } from '../nn/relative_bias.ts';
import type { EncoderStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import { DIALECTS, type Dialect } from './bert_dialects.ts';
import { postNorm, qkvProjection, summedEmbeddings, type Layer } from './bert_layers.ts';
import type { ConfigReader } from './config.ts';
import { encoderOutputs } from './encoder_heads.ts';
import type { EncoderFamily } from './family.ts';

type Config = ReturnType<typeof readConfig>;

/** Constants of MPNet; its configuration tells only the size of the table. */
const MPNET_BUCKETS = { buckets: 32, maxDistance: 128, bidirectional: true };

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader, dialect: Dialect) {
  const { keys, hasTokenTypes, hasLayerGroups, projection, uncounted } = dialect;
  requireEncoder(json);
  const dim = json.size(keys.dim);
  const { heads, kvHeads, headDim } = json.equalHeads(keys.heads, dim, keys.dim);
  const rows = json.size('max_position_embeddings', 512);
  const uncountedId = uncounted === 'pad_token_id' ? json.count('pad_token_id', 1) : uncounted;
  const offset = uncountedId === undefined ? 0 : uncountedId + 1;
  if (rows <= offset) {
    throw json.fail(
      'max_position_embeddings',
      `is ${rows}, expected more than the ${offset} rows up to that of the padding`,
    );
  }
  return {
    dim,
    heads,
    kvHeads,
    headDim,
    rotaryDim: 0,
    window: undefined,
    causal: false,
    embeddingDim: projection === undefined ? dim : json.size('embedding_size', 128),
    hiddenDim: json.size(keys.hiddenDim),
    layers: json.layers(keys.layers),
    groups: hasLayerGroups
      ? {
          count: json.layers('num_hidden_groups', 1),
          layersEach: json.layers('inner_group_num', 1),
        }
      : undefined,
    vocab: json.size('vocab_size'),
    types: hasTokenTypes ? json.size('type_vocab_size', 2) : 0,
    positions: { rows, offset, uncountedId, uncountedRow: uncountedId },
    biasRows: readBiasRows(json),
    normEps: json.positive('layer_norm_eps', 1e-12),
    activation: json.activation(keys.activation, 'gelu'),
  };
}

/** Size of MPNet's table, of which only the first {@link MPNET_BUCKETS} are used. */
function readBiasRows(json: ConfigReader): number {
  const key = 'relative_attention_num_buckets';
  const { buckets } = MPNET_BUCKETS;
  const rows = json.size(key, buckets);
  if (rows < buckets) throw json.fail(key, `is ${rows}, expected at least ${buckets}`);
  return rows;
}

/** @throws {ConfigError} if the configuration asks for a decoder, or for positions that this network has not */
function requireEncoder(json: ConfigReader): void {
  for (const key of ['is_decoder', 'add_cross_attention']) {
    if (json.flag(key, false)) {
      throw json.fail(key, 'is true, expected false; only the encoder form of this network runs');
    }
  }
  const positions = json.string('position_embedding_type', 'absolute');
  if (positions !== 'absolute') {
    throw json.fail(
      'position_embedding_type',
      `is "${positions}", expected "absolute"; use a checkpoint with such positions`,
    );
  }
}

/** E[token] + …, normalized, in the width of the model. */
function embeddings(w: WeightScope, c: Config, projection: string | undefined) {
  const { words, sum } = summedEmbeddings(w.at('embeddings'), c);
  const norm = layerNorm(w.at('embeddings', 'LayerNorm'), c.embeddingDim, c.normEps);
  const isWide = c.embeddingDim === c.dim;
  const project =
    projection === undefined || (isWide && !w.has(`${projection}.weight`))
      ? (x: Tensor) => x
      : linear(w.at(projection), c.embeddingDim, c.dim, { bias: true });

  return { words, embed: (step: EncoderStep): Tensor => project(norm(sum(step))) };
}

/** Added to the scores of every layer. */
function relativeBias(
  w: WeightScope,
  c: Config,
  name: string | undefined,
): RelativeBias | undefined {
  if (name === undefined) return undefined;
  const rowOf = relativeBuckets(MPNET_BUCKETS);
  const table = w.rowTable(`${name}.weight`, c.biasRows, c.heads, rowOf);
  return { table, reach: MPNET_BUCKETS.maxDistance };
}

/** The layers in order. ALBERT's form groups, and all of a group are one and the same. */
function layers(w: WeightScope, c: Config, dialect: Dialect): readonly Layer[] {
  const bias = relativeBias(w, c, dialect.relativeBias);
  const attend = pagedAttention({ ...c, bias }, 0);
  const layer = (...path: readonly (string | number)[]): Layer => {
    const scope = w.at(dialect.layers, ...path);
    const project = qkvProjection(scope, dialect.layer, c);
    const finish = postNorm(scope, dialect.layer, c);
    return (h, step) => finish(h, attend(project(h), step));
  };
  const indices = Array.from({ length: c.layers }, (_, i) => i);
  if (c.groups === undefined) return indices.map((i) => layer(i));

  const { count, layersEach } = c.groups;
  return Array.from({ length: count }, (_, group) => {
    const parts = Array.from({ length: layersEach }, (_, i) => layer(group, 'albert_layers', i));
    const whole: Layer = (h, step) => parts.reduce((x, run) => run(x, step), h);
    return indices.filter((i) => Math.floor(i / (c.layers / count)) === group).map(() => whole);
  }).flat();
}

/** Runs BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA, ALBERT and MPNet. */
export const bert: EncoderFamily = {
  modelTypes: Object.keys(DIALECTS),

  load(json, weights) {
    const dialect = dialectOf(json);
    const c = readConfig(json, dialect);
    // A checkpoint without a head has the encoder's weights at its root.
    const isNested = weights.has(`${dialect.prefix}.embeddings.word_embeddings.weight`);
    const scope = isNested ? [dialect.prefix] : [];
    const w = weights.at(...scope);
    const { words, embed } = embeddings(w, c, dialect.projection);
    const run = layers(w, c, dialect);
    const pooler = [...scope, dialect.pooler ?? 'pooler.dense'].join('.');
    const heads = dialect.heads({ pooler, activation: c.activation });

    return {
      kv: { ...c, layers: 1 },
      ropes: [],
      vocab: c.vocab,
      maxPositions: c.positions.rows - c.positions.offset,
      uncountedId: c.positions.uncountedId,
      dim: c.dim,
      tokenTypes: c.types,
      encode(step) {
        let h = embed(step);
        for (const [layer, runLayer] of run.entries()) {
          h = runLayer(step.tap(`hidden_states.${layer}`, h), step);
        }
        return step.tap(`hidden_states.${c.layers}`, h);
      },
      ...encoderOutputs(
        { json, weights, embed: words, dim: c.dim, normEps: c.normEps },
        { className: dialect.className, heads, pooler, isNested },
      ),
    };
  },
};

function dialectOf(json: ConfigReader): Dialect {
  const modelType = json.string('model_type');
  const dialect = DIALECTS[modelType];
  if (dialect === undefined) {
    throw json.fail('model_type', `is not one of: ${Object.keys(DIALECTS).join(', ')}`);
  }
  return dialect;
}
