/**
 * What tells BERT and its relatives apart: names in config.json and in the checkpoint, and which heads there are.
 *
 * @module
 */
import type { Activation } from '../kernels/activation.ts';
import type { LayerNames } from './bert_layers.ts';
import {
  maskedLanguage,
  multipleChoice,
  nextSentence,
  preTraining,
  questionAnswering,
  replacedTokens,
  sequenceClassification,
  tokenClassification,
  type Head,
} from './encoder_heads.ts';

/** What the heads of a model need to know. */
export interface HeadNames {
  /** Full name of the pooler's dense layer. */
  readonly pooler: string;
  /** `hidden_act`. */
  readonly activation: Activation;
}

/** One of the models that {@link DIALECTS} describes. */
export interface Dialect {
  /** What the names of its classes begin with. */
  readonly className: string;
  /** Scope of the encoder in a checkpoint that has a head. */
  readonly prefix: string;
  /** Keys of config.json. */
  readonly keys: {
    readonly dim: string;
    readonly heads: string;
    readonly layers: string;
    readonly hiddenDim: string;
    readonly activation: string;
  };
  /** Scope of the layers, or of the groups of layers that share their weights. */
  readonly layers: string;
  readonly hasLayerGroups?: boolean;
  readonly layer: LayerNames;
  /** Dense layer of the pooler if not `pooler.dense`; a checkpoint may be without one. */
  readonly pooler?: string;
  readonly hasTokenTypes: boolean;
  /** Dense layer from `embedding_size` to the model's width, where these may differ. */
  readonly projection?: string;
  /** Id that is at no position: `pad_token_id`, or always this one. */
  readonly uncounted?: 'pad_token_id' | number;
  /** Table of the relative position bias that all layers add. */
  readonly relativeBias?: string;
  readonly heads: (names: HeadNames) => Readonly<Record<string, Head>>;
}

/** Of most models. */
const KEYS = {
  dim: 'hidden_size',
  heads: 'num_attention_heads',
  layers: 'num_hidden_layers',
  hiddenDim: 'intermediate_size',
  activation: 'hidden_act',
};

/** Also of most others. */
export const BERT_LAYER: LayerNames = {
  qkv: ['attention.self.query', 'attention.self.key', 'attention.self.value'],
  output: 'attention.output.dense',
  attentionNorm: 'attention.output.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  norm: 'output.LayerNorm',
};

/** Heads on single tokens, named alike nearly everywhere. */
export const TOKEN_HEADS: Readonly<Record<string, Head>> = {
  ForTokenClassification: tokenClassification({ out: 'classifier' }),
  ForQuestionAnswering: questionAnswering({ out: 'qa_outputs' }),
};

/** A classifier of the pooler's output. */
const onPooler = (pooler: string, out: string) =>
  ({ dense: pooler, activation: 'tanh', out }) as const;

function bertHeads({ pooler, activation }: HeadNames): Readonly<Record<string, Head>> {
  const words = {
    dense: 'cls.predictions.transform.dense',
    activation,
    norm: 'cls.predictions.transform.LayerNorm',
    out: 'cls.predictions.decoder',
    bias: 'cls.predictions.bias',
  };
  const pair = onPooler(pooler, 'cls.seq_relationship');
  return {
    ForPreTraining: preTraining(words, { ...pair, output: 'seq_relationship_logits', size: 2 }),
    ForMaskedLM: maskedLanguage(words),
    ForNextSentencePrediction: nextSentence(pair),
    ForSequenceClassification: sequenceClassification(onPooler(pooler, 'classifier')),
    ForMultipleChoice: multipleChoice(onPooler(pooler, 'classifier')),
    ...TOKEN_HEADS,
  };
}

function robertaHeads({ pooler }: HeadNames): Readonly<Record<string, Head>> {
  return {
    ForMaskedLM: maskedLanguage({
      dense: 'lm_head.dense',
      activation: 'gelu',
      norm: 'lm_head.layer_norm',
      out: 'lm_head.decoder',
      bias: 'lm_head.bias',
    }),
    ForSequenceClassification: sequenceClassification({
      dense: 'classifier.dense',
      activation: 'tanh',
      out: 'classifier.out_proj',
    }),
    ForMultipleChoice: multipleChoice(onPooler(pooler, 'classifier')),
    ...TOKEN_HEADS,
  };
}

function distilbertHeads({ activation }: HeadNames): Readonly<Record<string, Head>> {
  const sequence = { dense: 'pre_classifier', activation: 'relu', out: 'classifier' } as const;
  return {
    ForMaskedLM: maskedLanguage({
      dense: 'vocab_transform',
      activation,
      norm: 'vocab_layer_norm',
      out: 'vocab_projector',
    }),
    ForSequenceClassification: sequenceClassification(sequence),
    ForMultipleChoice: multipleChoice(sequence),
    ...TOKEN_HEADS,
  };
}

function electraHeads({ activation }: HeadNames): Readonly<Record<string, Head>> {
  return {
    ForPreTraining: replacedTokens({
      dense: 'discriminator_predictions.dense',
      activation,
      out: 'discriminator_predictions.dense_prediction',
    }),
    ForMaskedLM: maskedLanguage({
      dense: 'generator_predictions.dense',
      activation: 'gelu',
      norm: 'generator_predictions.LayerNorm',
      out: 'generator_lm_head',
    }),
    ForSequenceClassification: sequenceClassification({
      dense: 'classifier.dense',
      activation: 'gelu',
      out: 'classifier.out_proj',
    }),
    ForMultipleChoice: multipleChoice({
      dense: 'sequence_summary.summary',
      activation: 'gelu',
      out: 'classifier',
    }),
    ...TOKEN_HEADS,
  };
}

function albertHeads({ pooler, activation }: HeadNames): Readonly<Record<string, Head>> {
  const words = {
    dense: 'predictions.dense',
    activation,
    norm: 'predictions.LayerNorm',
    out: 'predictions.decoder',
    bias: 'predictions.bias',
  };
  const order = { ...onPooler(pooler, 'sop_classifier.classifier'), output: 'sop_logits' };
  return {
    ForPreTraining: preTraining(words, order),
    ForMaskedLM: maskedLanguage(words),
    ForSequenceClassification: sequenceClassification(onPooler(pooler, 'classifier')),
    ForMultipleChoice: multipleChoice(onPooler(pooler, 'classifier')),
    ...TOKEN_HEADS,
  };
}

/** Liu et al. 2019, arXiv:1907.11692. */
const ROBERTA: Dialect = {
  className: 'Roberta',
  prefix: 'roberta',
  keys: KEYS,
  layers: 'encoder.layer',
  layer: BERT_LAYER,
  hasTokenTypes: true,
  uncounted: 'pad_token_id',
  heads: robertaHeads,
};

/** By `model_type` of config.json. */
export const DIALECTS: Readonly<Record<string, Dialect>> = {
  bert: {
    className: 'Bert',
    prefix: 'bert',
    keys: KEYS,
    layers: 'encoder.layer',
    layer: BERT_LAYER,
    hasTokenTypes: true,
    heads: bertHeads,
  },

  roberta: ROBERTA,
  /** Conneau et al. 2019, arXiv:1911.02116. */
  'xlm-roberta': { ...ROBERTA, className: 'XLMRoberta' },

  /** Sanh et al. 2019, arXiv:1910.01108. */
  distilbert: {
    className: 'DistilBert',
    prefix: 'distilbert',
    keys: {
      dim: 'dim',
      heads: 'n_heads',
      layers: 'n_layers',
      hiddenDim: 'hidden_dim',
      activation: 'activation',
    },
    layers: 'transformer.layer',
    layer: {
      qkv: ['attention.q_lin', 'attention.k_lin', 'attention.v_lin'],
      output: 'attention.out_lin',
      attentionNorm: 'sa_layer_norm',
      up: 'ffn.lin1',
      down: 'ffn.lin2',
      norm: 'output_layer_norm',
    },
    hasTokenTypes: false,
    heads: distilbertHeads,
  },

  /** Clark et al. 2020, arXiv:2003.10555. */
  electra: {
    className: 'Electra',
    prefix: 'electra',
    keys: KEYS,
    layers: 'encoder.layer',
    layer: BERT_LAYER,
    hasTokenTypes: true,
    projection: 'embeddings_project',
    heads: electraHeads,
  },

  /** Lan et al. 2019, arXiv:1909.11942. */
  albert: {
    className: 'Albert',
    prefix: 'albert',
    keys: KEYS,
    layers: 'encoder.albert_layer_groups',
    hasLayerGroups: true,
    layer: {
      qkv: ['attention.query', 'attention.key', 'attention.value'],
      output: 'attention.dense',
      attentionNorm: 'attention.LayerNorm',
      up: 'ffn',
      down: 'ffn_output',
      norm: 'full_layer_layer_norm',
    },
    pooler: 'pooler',
    hasTokenTypes: true,
    projection: 'encoder.embedding_hidden_mapping_in',
    heads: albertHeads,
  },

  /** Song et al. 2020, arXiv:2004.09297. */
  mpnet: {
    className: 'MPNet',
    prefix: 'mpnet',
    keys: KEYS,
    layers: 'encoder.layer',
    layer: {
      qkv: ['attention.attn.q', 'attention.attn.k', 'attention.attn.v'],
      output: 'attention.attn.o',
      attentionNorm: 'attention.LayerNorm',
      up: 'intermediate.dense',
      down: 'output.dense',
      norm: 'output.LayerNorm',
    },
    hasTokenTypes: false,
    uncounted: 1,
    relativeBias: 'encoder.relative_attention_bias',
    heads: robertaHeads,
  },
};
