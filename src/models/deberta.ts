/**
 * DeBERTa v2 and v3: BERT's layers with disentangled attention, in which the distance of two tokens is a vector of
 * its own, P[bucket(i - j)], beside what they are.
 *
 *   h ← norm(E[token] + …)                                             [T, dim]
 *   score[i, j] = (<q_i, k_j> + <q_i, Wk'·P[r]> + <k_j, Wq'·P[r]>) / √(headDim · (1 + terms)),  r = row of i - j
 *   h ← norm(h + Wo · softmax(score) · v)
 *   h ← norm(h + W2 · act(W1·h))
 *
 * Wq' and Wk' are the layer's own Wq and Wk, or further matrices. Some add a convolution over the embeddings, h0,
 * to the first layer's result: h ← norm(h + act(conv(h0))).
 *
 * He et al. 2020, arXiv:2006.03654; He et al. 2021 (v3), arXiv:2111.09543.
 *
 * @module
 */
import type { Recorder } from '../gpu/recorder.ts';
import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import { disentangledAttention, type PositionTables } from '../kernels/disentangled_attention.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import { unfoldRows } from '../kernels/unfold_rows.ts';
import { pagedAttention } from '../nn/attention.ts';
import { distanceRows } from '../nn/distance_rows.ts';
import { linear, type Linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { EncoderStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import { BERT_LAYER, TOKEN_HEADS } from './bert_dialects.ts';
import {
  postNorm,
  qkvProjection,
  summedEmbeddings,
  type Layer,
  type LayerNames,
} from './bert_layers.ts';
import { MAX_POSITIONS, type ConfigReader } from './config.ts';
import {
  encoderOutputs,
  maskedLanguage,
  multipleChoice,
  sequenceClassification,
  type Head,
} from './encoder_heads.ts';
import type { EncoderFamily } from './family.ts';

type Config = ReturnType<typeof readConfig>;

const LAYER: LayerNames = {
  ...BERT_LAYER,
  qkv: ['attention.self.query_proj', 'attention.self.key_proj', 'attention.self.value_proj'],
};

/** Names in quotes are the keys of Hugging Face's config.json. */
function readConfig(json: ConfigReader) {
  const dim = json.size('hidden_size');
  const { heads, kvHeads, headDim } = json.equalHeads('num_attention_heads', dim, 'hidden_size');
  const rows = json.size('max_position_embeddings', 512, MAX_POSITIONS);
  const terms = readTerms(json);
  const buckets = optionalSize(json, 'position_buckets') ?? 0;
  const maxDistance = optionalSize(json, 'max_relative_positions') ?? rows;
  const hasDistances = json.flag('relative_attention', false) && terms.length > 0;
  return {
    dim,
    heads,
    kvHeads,
    headDim,
    rotaryDim: 0,
    window: undefined,
    causal: false,
    scale: (headDim * (1 + terms.length)) ** -0.5,
    hasKeys: terms.includes('c2p'),
    hasQueries: terms.includes('p2c'),
    relative: hasDistances ? { buckets, maxDistance } : undefined,
    sharesProjections: json.flag('share_att_key', false),
    hasDistanceNorm: parts(json.string('norm_rel_ebd', 'none')).includes('layer_norm'),
    embeddingDim: json.size('embedding_size', dim),
    hiddenDim: json.size('intermediate_size'),
    layers: json.layers('num_hidden_layers'),
    vocab: json.size('vocab_size'),
    types: json.count('type_vocab_size', 0),
    positions: json.flag('position_biased_input', true) ? { rows, offset: 0 } : undefined,
    convolution: readConvolution(json),
    normEps: json.positive('layer_norm_eps', 1e-7),
    activation: json.activation('hidden_act', 'gelu'),
    poolerActivation: json.activation('pooler_hidden_act', 'gelu'),
    isLegacy: json.flag('legacy', true),
  };
}

/** A size that the configuration turns off by 0 or -1. */
function optionalSize(json: ConfigReader, key: string): number | undefined {
  const value = json.raw(key) ?? 0;
  return typeof value === 'number' && value < 1
    ? undefined
    : json.size(key, undefined, MAX_POSITIONS);
}

/** "a|B" ↦ a, b */
function parts(text: string): readonly string[] {
  return text.split('|').map((part) => part.trim().toLowerCase());
}

/** Terms of the score: "c2p" for the keys of distances, "p2c" for their queries. */
function readTerms(json: ConfigReader): readonly string[] {
  const value = json.raw('pos_att_type') ?? [];
  const names: unknown = typeof value === 'string' ? parts(value) : value;
  if (!Array.isArray(names)) {
    throw json.fail('pos_att_type', `is ${JSON.stringify(value)}, expected a list of: c2p, p2c`);
  }
  return ['c2p', 'p2c'].filter((term) => names.includes(term));
}

function readConvolution(json: ConfigReader) {
  const size = optionalSize(json, 'conv_kernel_size');
  if (size === undefined) return undefined;
  if (size % 2 === 0) throw json.fail('conv_kernel_size', `is ${size}, expected an odd number`);
  const groups = json.size('conv_groups', 1);
  if (groups !== 1) throw json.fail('conv_groups', `is ${groups}, expected 1`);
  return { size, activation: json.activation('conv_act', 'tanh') };
}

/** E[token] + …, normalized. */
function embeddings(w: WeightScope, c: Config) {
  const { words, sum } = summedEmbeddings(w, c);
  const widen =
    c.embeddingDim === c.dim ? (x: Tensor) => x : linear(w.at('embed_proj'), c.embeddingDim, c.dim);
  const norm = layerNorm(w.at('LayerNorm'), c.dim, c.normEps);
  return { words, embed: (step: EncoderStep): Tensor => norm(widen(sum(step))) };
}

/** Distances of tokens: their vectors, and which one belongs to each. */
interface Distances {
  /** Vectors on both sides, 2 span. */
  readonly count: number;
  /** f32 [count, dim] */
  readonly vectors: (recorder: Recorder) => Tensor;
  /** Row of each distance among the vectors, as {@link distanceRows} makes them. */
  readonly rows: DeviceTensor;
  /** u32 [count] each: rows of the queries and the keys in [Wq·P, Wk·P, Wv·P], seen as [3 count, dim]. */
  readonly queryRows: DeviceTensor;
  readonly keyRows: DeviceTensor;
}

function distancesOf(w: WeightScope, c: Config): Distances | undefined {
  if (c.relative === undefined) return undefined;
  const { buckets, maxDistance } = c.relative;
  const count = 2 * (buckets > 0 ? buckets : maxDistance);
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  const table = w.rowTable('rel_embeddings.weight', count, c.dim, all);
  const norm = c.hasDistanceNorm ? layerNorm(w.at('LayerNorm'), c.dim, c.normEps) : undefined;
  return {
    count,
    vectors(recorder) {
      const stored = recorder.tensor(table);
      return norm?.(stored) ?? stored;
    },
    rows: w.constant('distance rows', distanceRows(buckets, maxDistance)),
    queryRows: w.constant(
      'rows of queries',
      all.map((i) => 3 * i),
    ),
    keyRows: w.constant(
      'rows of keys',
      all.map((i) => 3 * i + 1),
    ),
  };
}

/** Vectors of distances ↦ the terms' keys and queries, each f32 [count, dim] */
type Tables = (vectors: Tensor) => PositionTables;

/** Wk' and Wq' of the layer's own. */
function ownTables(w: WeightScope, c: Config): Tables {
  const project = (name: string): Linear => linear(w.at(name), c.dim, c.dim, { bias: true });
  const keys = c.hasKeys ? project('pos_key_proj') : undefined;
  const queries = c.hasQueries ? project('pos_query_proj') : undefined;
  return (vectors) => ({ keys: keys?.(vectors), queries: queries?.(vectors) });
}

/** Wk' = Wk and Wq' = Wq, which lie stacked in `project`. */
function sharedTables(project: Linear, c: Config, distances: Distances): Tables {
  return (vectors) => {
    const rows = { ...project(vectors), shape: [3 * distances.count, c.dim] };
    const of = (chosen: DeviceTensor) => gatherRows(rows, vectors.recorder.tensor(chosen));
    return {
      keys: c.hasKeys ? of(distances.keyRows) : undefined,
      queries: c.hasQueries ? of(distances.queryRows) : undefined,
    };
  };
}

/** h ↦ the result of the heads, f32 [T, dim] */
function selfAttention(w: WeightScope, c: Config, distances: Distances | undefined): Layer {
  const project = qkvProjection(w, LAYER, c);
  if (distances === undefined) {
    const attend = pagedAttention(c, 0);
    return (h, step) => attend(project(h), step);
  }
  const tables = c.sharesProjections
    ? sharedTables(project, c, distances)
    : ownTables(w.at('attention', 'self'), c);
  return (h, step) => {
    const positions = step.once(tables, (recorder) => ({
      ...tables(distances.vectors(recorder)),
    }));
    return disentangledAttention(project(h), positions, distances.rows, step.attention, c);
  };
}

/** (h0, h) ↦ norm(h + act(conv(h0))) */
function convolution(w: WeightScope, c: Config) {
  if (c.convolution === undefined) return undefined;
  const { size, activation } = c.convolution;
  const multiply = linear(w.at('conv'), c.dim * size, c.dim, { bias: true, activation });
  const norm = layerNorm(w.at('LayerNorm'), c.dim, c.normEps);
  return (first: Tensor, h: Tensor, step: EncoderStep): Tensor =>
    norm(multiply(unfoldRows(first, step.attention, size), h));
}

function headsOf(c: Config): Readonly<Record<string, Head>> {
  const layers = { activation: c.activation };
  const words = c.isLegacy
    ? {
        dense: 'cls.predictions.transform.dense',
        norm: 'cls.predictions.transform.LayerNorm',
        out: 'cls.predictions.decoder',
        bias: 'cls.predictions.bias',
      }
    : {
        dense: 'lm_predictions.lm_head.dense',
        norm: 'lm_predictions.lm_head.LayerNorm',
        out: 'lm_predictions.lm_head',
        isTied: true,
      };
  const sequence = { dense: 'pooler.dense', activation: c.poolerActivation, out: 'classifier' };
  return {
    ForMaskedLM: maskedLanguage({ ...layers, ...words }),
    ForSequenceClassification: sequenceClassification(sequence),
    ForMultipleChoice: multipleChoice(sequence),
    ...TOKEN_HEADS,
  };
}

/** Runs DeBERTa v2 and v3. */
export const deberta: EncoderFamily = {
  modelTypes: ['deberta-v2'],
  usesDistances: true,

  load(json, weights) {
    const c = readConfig(json);
    // A checkpoint without a head has the encoder's weights at its root.
    const isNested = weights.has('deberta.embeddings.word_embeddings.weight');
    const w = isNested ? weights.at('deberta') : weights;
    const { words, embed } = embeddings(w.at('embeddings'), c);
    const distances = distancesOf(w.at('encoder'), c);
    const layers = Array.from({ length: c.layers }, (_, i): Layer => {
      const layer = w.at('encoder', 'layer', i);
      const attend = selfAttention(layer, c, distances);
      const finish = postNorm(layer, LAYER, c);
      return (h, step) => finish(h, attend(h, step));
    });
    const convolve = convolution(w.at('encoder', 'conv'), c);

    return {
      kv: { ...c, layers: 1 },
      ropes: [],
      vocab: c.vocab,
      maxPositions: c.positions?.rows ?? Infinity,
      dim: c.dim,
      tokenTypes: c.types,
      encode(step) {
        const first = embed(step);
        let h = step.tap('hidden_states.0', first);
        for (const [i, run] of layers.entries()) {
          h = run(h, step);
          if (i === 0) h = convolve?.(first, h, step) ?? h;
          step.tap(`hidden_states.${i + 1}`, h);
        }
        return h;
      },
      ...encoderOutputs(
        { json, weights, embed: words, dim: c.dim, normEps: c.normEps },
        { className: 'DebertaV2', heads: headsOf(c), isNested },
      ),
    };
  },
};
