/**
 * Heads of encoders, by their names in the checkpoint. For x a token's vector, or one vector per sequence:
 *
 *   y = Wo · norm(act(Wd · x + bd)) + bo
 *
 * Every head has this form, most without the norm, some without the dense layer. A vocabulary head shares Wo with the
 * token embedding unless the configuration says otherwise.
 *
 * @module
 */
import { expectRows, type Tensor } from '../gpu/tensor.ts';
import type { Activation } from '../kernels/activation.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import { meanRows } from '../kernels/pool_rows.ts';
import type { Embedding } from '../nn/embedding.ts';
import { linear, tiedHead, type Linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { EncoderStep } from '../nn/step.ts';
import { WeightFileError } from '../util/errors.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { ConfigReader } from './config.ts';
import type { EncoderModel, EncoderOutput } from './family.ts';

/** The encoder below a head. */
export interface Trunk {
  readonly json: ConfigReader;
  /** The whole checkpoint. */
  readonly weights: WeightScope;
  readonly embed: Embedding;
  readonly dim: number;
  readonly normEps: number;
  /** Which layers of a head have a bias, where some have none; the last layer of a classifier always has. */
  readonly bias?: { readonly dense: boolean; readonly norm: boolean; readonly vocab: boolean };
}

/** Names of a head's layers in the checkpoint, without `.weight`. */
export interface HeadLayers {
  readonly dense?: string;
  /** Follows the dense layer. */
  readonly activation?: Activation;
  readonly norm?: string;
  readonly out: string;
}

/** {@link HeadLayers} of a vocabulary head. */
export interface VocabularyLayers extends HeadLayers {
  /** Full name of the bias in files where it is not beside the weight of `out`. */
  readonly bias?: string;
  /** Whether `out` is the token embedding; "tie_word_embeddings" if absent. */
  readonly isTied?: boolean;
}

type Outputs = Readonly<Record<string, EncoderOutput>>;

/** What a class of Transformers has on top of the encoder. */
export interface Head {
  /** For messages, e.g. "question answering". */
  readonly task: string;
  /** Asks for the weights. */
  readonly outputs: (trunk: Trunk) => Outputs;
  /** Whether the columns of its logits are the classes that config.json names. */
  readonly isLabeled?: boolean;
  /** Whether it is of the pre-training, which makers of sentence vectors leave away while config.json still names it. */
  readonly isPreTraining?: boolean;
}

/** The vectors of all tokens ↦ one vector per sequence, f32 [S, dim]. */
export type Pool = (hidden: Tensor, step: EncoderStep) => Tensor;

export const firstToken: Pool = (hidden, step) => gatherRows(hidden, step.firstRows);

export const meanOfTokens: Pool = (hidden, step) => {
  const sequences = expectRows('mean of tokens: firstRows', step.firstRows, 'u32');
  return meanRows(hidden, step.attention.sequences, sequences);
};

/** A token's class among all ids: `logits` [T, vocab]. */
export function maskedLanguage(layers: VocabularyLayers): Head {
  return {
    task: 'masked language modeling',
    isPreTraining: true,
    outputs: (trunk) => ({ logits: vocabulary(trunk, layers) }),
  };
}

/**
 * Both tasks of pre-training: `prediction_logits` [T, vocab], and the relation of two texts.
 *
 * @param pair - `output`: name of the relation's logits; `size`: of how many classes, those of config.json if absent
 */
export function preTraining(
  layers: VocabularyLayers,
  pair: HeadLayers & { readonly output: string; readonly size?: number },
): Head {
  return {
    task: 'pre-training',
    isPreTraining: true,
    outputs: (trunk) => ({
      prediction_logits: vocabulary(trunk, layers),
      [pair.output]: perSequence(trunk, pair, pair.size ?? labelsOf(trunk.json).length),
    }),
  };
}

/** Whether the second text follows the first: `logits` [S, 2]. */
export function nextSentence(layers: HeadLayers): Head {
  return {
    task: 'next sentence prediction',
    outputs: (trunk) => ({ logits: perSequence(trunk, layers, 2) }),
  };
}

/** `logits` [S, classes]. */
export function sequenceClassification(layers: HeadLayers, pool: Pool = firstToken): Head {
  return {
    task: 'sequence classification',
    isLabeled: true,
    outputs: (trunk) => ({
      logits: perSequence(trunk, layers, labelsOf(trunk.json).length, pool),
    }),
  };
}

/** How well each sequence fits, to be compared with the other choices: `logits` [S, 1]. */
export function multipleChoice(layers: HeadLayers, pool: Pool = firstToken): Head {
  return {
    task: 'multiple choice',
    outputs: (trunk) => ({ logits: perSequence(trunk, layers, 1, pool) }),
  };
}

/** `logits` [T, classes]. */
export function tokenClassification(layers: HeadLayers): Head {
  return {
    task: 'token classification',
    isLabeled: true,
    outputs: (trunk) => ({ logits: perToken(trunk, layers, labelsOf(trunk.json).length) }),
  };
}

/** Whether an answer begins or ends at each token: `logits` [T, 2]. */
export function questionAnswering(layers: HeadLayers): Head {
  const columns = ['start_logits', 'end_logits'];
  return {
    task: 'question answering',
    outputs: (trunk) => ({ logits: { ...perToken(trunk, layers, 2), columns } }),
  };
}

/** Whether each token was put there by a generator: `logits` [T, 1]. Clark et al. 2020, arXiv:2003.10555. */
export function replacedTokens(layers: HeadLayers): Head {
  return {
    task: 'replaced token detection',
    isPreTraining: true,
    outputs: (trunk) => ({ logits: perToken(trunk, layers, 1) }),
  };
}

/** The classes of Transformers that share an encoder. */
export interface EncoderClasses {
  /** What their names begin with, e.g. `Bert`; `BertModel` is the encoder without a head. */
  readonly className: string;
  /** The others by the rest of their names, e.g. `ForMaskedLM`. */
  readonly heads: Readonly<Record<string, Head>>;
  /** Full name of the dense layer on the first token that makes `pooler_output`, where there is one. */
  readonly pooler?: string | undefined;
  /** Whether the encoder's weights are in a scope of their own, as in checkpoints that have a head. */
  readonly isNested: boolean;
}

/**
 * What can be asked of an encoder: its vectors, the pooled one if the checkpoint has a pooler, and the outputs of the
 * class that config.json names in `architectures`. A bare encoder passes for one that was left of its pre-training.
 *
 * @throws {ConfigError} if the class is none of these, or the checkpoint lacks its head
 * @throws {WeightFileError} if a weight of the head has another shape
 */
export function encoderOutputs(
  trunk: Trunk,
  { className, heads, pooler, isNested }: EncoderClasses,
): Pick<EncoderModel, 'outputs' | 'labels'> {
  const { json, weights, dim } = trunk;
  const hasPooler = pooler !== undefined && weights.has(`${pooler}.weight`);
  const outputs: Outputs = {
    last_hidden_state: { per: 'token', size: dim, compute: (hidden) => hidden },
    ...(hasPooler && { pooler_output: pooled(trunk, pooler) }),
  };

  const encoderClass = `${className}Model`;
  const architecture = json.architecture() ?? encoderClass;
  if (architecture === encoderClass) return { outputs };
  const known = Object.entries(heads).map(([suffix, head]) => ({ name: className + suffix, head }));
  const head = known.find(({ name }) => name === architecture)?.head;
  if (head === undefined) {
    const names = [encoderClass, ...known.map(({ name }) => name)].join(', ');
    throw json.fail('architectures', `names ${architecture}, expected one of: ${names}`);
  }
  try {
    const labels = head.isLabeled === true ? labelsOf(json) : undefined;
    return { outputs: { ...outputs, ...head.outputs(trunk) }, labels };
  } catch (error) {
    const tensor = error instanceof WeightFileError ? error.tensor : undefined;
    if (tensor === undefined || weights.has(tensor)) throw error;
    if (head.isPreTraining === true && !isNested) return { outputs };
    throw json.fail(
      'architectures',
      `names ${architecture}, but the checkpoint has no ${head.task} head: tensor ${tensor} is missing; ` +
        `use a checkpoint trained for this, or name ${encoderClass} to run the encoder alone`,
    );
  }
}

function pooled(trunk: Trunk, name: string): EncoderOutput {
  const { weights, dim } = trunk;
  const dense = linear(weights.at(name), dim, dim, { bias: true, activation: 'tanh' });
  return {
    per: 'sequence',
    size: dim,
    compute: (hidden, step) => dense(firstToken(hidden, step)),
  };
}

function perSequence(
  trunk: Trunk,
  layers: HeadLayers,
  size: number,
  pool: Pool = firstToken,
): EncoderOutput {
  const { transform, out } = classifier(trunk, layers, size);
  return {
    per: 'sequence',
    size,
    compute: (hidden, step) => out(transform(pool(hidden, step))),
  };
}

function perToken(trunk: Trunk, layers: HeadLayers, size: number): EncoderOutput {
  const { transform, out } = classifier(trunk, layers, size);
  return { per: 'token', size, compute: (hidden) => out(transform(hidden)) };
}

function classifier(trunk: Trunk, layers: HeadLayers, size: number) {
  const { weights, dim } = trunk;
  return {
    transform: transformation(trunk, layers, dim),
    out: linear(weights.at(layers.out).as('end'), dim, size, { bias: true }),
  };
}

function vocabulary(trunk: Trunk, layers: VocabularyLayers): EncoderOutput {
  const { json, weights, embed } = trunk;
  const { rows: vocab, cols: width } = embed.weight;
  const transform = transformation(trunk, layers, width);
  const own = `${layers.out}.bias`; // where both are there, they are the same numbers or this one counts
  const biasName = weights.has(own) ? own : (layers.bias ?? own);
  const bias = trunk.bias?.vocab === false ? undefined : weights.vector({ [biasName]: vocab });
  const isTied = layers.isTied ?? json.flag('tie_word_embeddings', true);
  const decoder = isTied
    ? embed
    : { weight: weights.at(layers.out).as('end').matrix({ weight: vocab }, width) };
  const decode = tiedHead(decoder, { bias });
  return { per: 'token', size: vocab, compute: (hidden) => decode(transform(hidden)) };
}

/** x ↦ norm(act(Wd · x + bd)), without what the head lacks; f32 [rows, width] */
function transformation(
  { weights, dim, normEps, bias }: Trunk,
  layers: HeadLayers,
  width: number,
): (x: Tensor) => Tensor {
  const dense: Linear =
    layers.dense === undefined
      ? (x) => x
      : linear(weights.at(layers.dense), dim, width, {
          bias: bias?.dense ?? true,
          activation: layers.activation,
        });
  if (layers.norm === undefined) return (x) => dense(x);
  const norm = layerNorm(weights.at(layers.norm), width, normEps, bias?.norm ?? true);
  return (x) => norm(dense(x));
}

/** Names of a classifier's classes in the order of its logits; two of them unless config.json says otherwise. */
function labelsOf(json: ConfigReader): readonly string[] {
  const names = json.raw('id2label');
  if (names === undefined) {
    return Array.from({ length: json.size('num_labels', 2, 2 ** 20) }, (_, i) => `LABEL_${i}`);
  }
  if (typeof names !== 'object') {
    throw json.fail('id2label', `is ${JSON.stringify(names)}, expected names by class index`);
  }
  const byIndex = new Map(Object.entries(names ?? {}).map(([key, name]) => [Number(key), name]));
  return Array.from({ length: byIndex.size }, (_, i) => {
    const name: unknown = byIndex.get(i);
    if (typeof name === 'string' || typeof name === 'number') return String(name);
    throw json.fail(
      'id2label',
      `has no name for ${i}, expected names for 0 to ${byIndex.size - 1}; they are the rows of the classifier`,
    );
  });
}
