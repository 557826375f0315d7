import { describe, expect, it } from 'vitest';
import { bert } from '../../../src/models/bert.ts';
import { ConfigReader } from '../../../src/models/config.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

const CONFIG = {
  model_type: 'bert',
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 3,
  num_hidden_layers: 1,
  vocab_size: 31,
  max_position_embeddings: 40,
};

/** A checkpoint of the first architecture of Transformers that has all its tensors but those named. */
function load(changes: object = {}, absent = /gamma|beta|decoder\.bias/) {
  const { weights, asked } = fakeWeights((name) => !absent.test(name), true);
  return { model: bert.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

function failureOf(changes: object, absent?: RegExp): ConfigError {
  try {
    load(changes, absent);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('expected a ConfigError');
}

const classOf = (name: string) => ({ architectures: [name] });

describe('bert', () => {
  it('asks for the tensors of the checkpoint, each once and with its shape', () => {
    const layer = 'bert.encoder.layer.0';
    const norm = (path: string) => [`${path}.LayerNorm.weight [12]`, `${path}.LayerNorm.bias [12]`];
    const { asked } = load(classOf('BertForMaskedLM'));
    expect([...asked].sort()).toEqual(
      [
        'bert.embeddings.word_embeddings.weight [31, 12]',
        'bert.embeddings.position_embeddings.weight [40, 12]',
        'bert.embeddings.token_type_embeddings.weight [2, 12]',
        ...norm('bert.embeddings'),
        ...['query', 'key', 'value'].flatMap((name) => [
          `${layer}.attention.self.${name}.weight [12, 12]`,
          `${layer}.attention.self.${name}.bias [12]`,
        ]),
        `${layer}.attention.output.dense.weight [12, 12]`,
        `${layer}.attention.output.dense.bias [12]`,
        ...norm(`${layer}.attention.output`),
        `${layer}.intermediate.dense.weight [20, 12]`,
        `${layer}.intermediate.dense.bias [20]`,
        `${layer}.output.dense.weight [12, 20]`,
        `${layer}.output.dense.bias [12]`,
        ...norm(`${layer}.output`),
        'bert.pooler.dense.weight [12, 12]',
        'bert.pooler.dense.bias [12]',
        'cls.predictions.transform.dense.weight [12, 12]',
        'cls.predictions.transform.dense.bias [12]',
        ...norm('cls.predictions.transform'),
        'cls.predictions.bias [31]',
      ].sort(),
    );
  });

  it('finds the weights of a checkpoint without a head at its root', () => {
    const { asked, model } = load({}, /^bert\.|gamma|pooler/);
    expect(asked[0]).toBe('embeddings.word_embeddings.weight [31, 12]');
    expect(Object.keys(model.outputs)).toEqual(['last_hidden_state']);
    expect(Object.keys(load({}, /^bert\.|gamma/).model.outputs)).toEqual([
      'last_hidden_state',
      'pooler_output',
    ]);
  });

  it('takes the names of files that came from TensorFlow', () => {
    const { asked } = load({}, /LayerNorm\.(weight|bias)/);
    expect(asked).toContain('bert.embeddings.LayerNorm.gamma [12]');
    expect(asked).toContain('bert.embeddings.LayerNorm.beta [12]');
  });

  it('has the decoder that the configuration asks for', () => {
    const untied = { ...classOf('BertForMaskedLM'), tie_word_embeddings: false };
    const { asked } = load(untied, /gamma|beta/);
    expect(asked).toContain('cls.predictions.decoder.weight [31, 12]');
    expect(asked).toContain('cls.predictions.decoder.bias [31]');
    expect(asked).not.toContain('cls.predictions.bias [31]');
    expect(failureOf(untied, /decoder/).message).toMatch(
      /tensor cls\.predictions\.decoder\.weight/,
    );
  });

  it('numbers positions as each relative does', () => {
    const of = (changes: object) => load(changes).model;
    const distil = { dim: 12, n_heads: 3, n_layers: 1, hidden_dim: 20, activation: 'gelu' };
    expect(of({})).toMatchObject({ maxPositions: 40, tokenTypes: 2, uncountedId: undefined });
    const roberta = { model_type: 'roberta', type_vocab_size: 1 };
    expect(of(roberta)).toMatchObject({ maxPositions: 38, tokenTypes: 1, uncountedId: 1 });
    const padded = { model_type: 'xlm-roberta', pad_token_id: 4 };
    expect(of(padded)).toMatchObject({ maxPositions: 35, uncountedId: 4 });
    const mpnet = { model_type: 'mpnet', pad_token_id: 4 }; // counts from 1 whatever it says
    expect(of(mpnet)).toMatchObject({ maxPositions: 38, tokenTypes: 0, uncountedId: 1 });
    expect(of({ model_type: 'distilbert', ...distil })).toMatchObject({ dim: 12, tokenTypes: 0 });
    expect(failureOf({ ...padded, max_position_embeddings: 5 }).key).toBe(
      'max_position_embeddings',
    );
  });

  it('loads the weights of a group of layers once', () => {
    const albert = { model_type: 'albert', embedding_size: 6, num_hidden_layers: 5 };
    const { asked } = load({ ...albert, num_hidden_groups: 2, inner_group_num: 3 });
    const norms = asked.filter((name) => name.includes('full_layer_layer_norm.weight'));
    expect(norms).toHaveLength(6);
    expect(new Set(norms).size).toBe(6);
    expect(asked).toContain('albert.encoder.embedding_hidden_mapping_in.weight [12, 6]');
    expect(asked).toContain('albert.pooler.weight [12, 12]');
  });

  it('widens the embeddings of ELECTRA where they are narrower', () => {
    const electra = { model_type: 'electra', ...classOf('ElectraForMaskedLM') };
    const { asked } = load({ ...electra, embedding_size: 6 }, /gamma|pooler/);
    expect(asked).toContain('electra.embeddings_project.weight [12, 6]');
    expect(asked).toContain('generator_predictions.dense.weight [6, 12]');
    const wide = load({ ...electra, embedding_size: 12 }, /gamma|pooler|embeddings_project/);
    expect(wide.asked.some((name) => name.includes('embeddings_project'))).toBe(false);
  });

  it("takes the rows of MPNet's bias that it uses", () => {
    const mpnet = { model_type: 'mpnet', relative_attention_num_buckets: 40 };
    expect(load(mpnet).asked).toContain('mpnet.encoder.relative_attention_bias.weight [40, 3]');
    expect(failureOf({ ...mpnet, relative_attention_num_buckets: 31 }).message).toMatch(
      /"relative_attention_num_buckets" is 31, expected at least 32/,
    );
  });
});

describe('heads', () => {
  it.each([
    ['bert', 'BertForPreTraining', { prediction_logits: 31, seq_relationship_logits: 2 }],
    ['bert', 'BertForNextSentencePrediction', { logits: 2 }],
    ['bert', 'BertForSequenceClassification', { logits: 4 }],
    ['bert', 'BertForTokenClassification', { logits: 4 }],
    ['bert', 'BertForMultipleChoice', { logits: 1 }],
    ['bert', 'BertForQuestionAnswering', { logits: 2 }],
    ['roberta', 'RobertaForMaskedLM', { logits: 31 }],
    ['xlm-roberta', 'XLMRobertaForSequenceClassification', { logits: 4 }],
    ['electra', 'ElectraForPreTraining', { logits: 1 }],
    ['albert', 'AlbertForPreTraining', { prediction_logits: 31, sop_logits: 4 }],
    ['mpnet', 'MPNetForMultipleChoice', { logits: 1 }],
  ])('%s: %s', (model_type, name, sizes) => {
    const id2label = { 1: 'b', 0: 'a', 2: 'c', 3: 'd' };
    const { model } = load({ model_type, id2label, embedding_size: 6, ...classOf(name) });
    const { outputs, labels } = model;
    const found = Object.fromEntries(Object.entries(outputs).map(([key, { size }]) => [key, size]));
    expect(found).toEqual({ last_hidden_state: 12, pooler_output: 12, ...sizes });
    const isClassifier = /SequenceClassification|TokenClassification/.test(name);
    expect(labels).toEqual(isClassifier ? ['a', 'b', 'c', 'd'] : undefined);
  });

  it('names the columns of answers, and tells rows per token from rows per sequence', () => {
    const answers = load(classOf('BertForQuestionAnswering')).model.outputs['logits'];
    expect(answers).toMatchObject({ per: 'token', columns: ['start_logits', 'end_logits'] });
    const classes = load(classOf('BertForSequenceClassification')).model;
    expect(classes.outputs['logits']).toMatchObject({ per: 'sequence', size: 2 });
    expect(classes.labels).toEqual(['LABEL_0', 'LABEL_1']);
  });

  it('says which head a checkpoint lacks, by family, class, tensor, and what to do', () => {
    const { key, message } = failureOf(classOf('BertForQuestionAnswering'), /qa_outputs|gamma/);
    expect(key).toBe('architectures');
    expect(message).toMatch(
      /config\.json \(bert\): "architectures" names BertForQuestionAnswering/,
    );
    expect(message).toMatch(/no question answering head: tensor qa_outputs\.\w+ is missing/);
    expect(message).toMatch(/name BertModel to run the encoder alone/);
    const pooled = failureOf(classOf('BertForSequenceClassification'), /pooler|gamma/);
    expect(pooled.message).toMatch(/no sequence classification head: tensor bert\.pooler\.dense/);
  });

  it('takes a bare encoder for one, whatever it was pre-trained as', () => {
    const bare = /gamma|beta|^bert\.|^cls\./;
    const { model } = load(classOf('BertForMaskedLM'), bare);
    expect(Object.keys(model.outputs)).toEqual(['last_hidden_state', 'pooler_output']);
    const absent = /gamma|beta|^bert\.|^qa_outputs/;
    expect(failureOf(classOf('BertForQuestionAnswering'), absent).message).toMatch(/no question/);
    expect(failureOf(classOf('BertForMaskedLM'), /gamma|beta|^cls\./).message).toMatch(/no masked/);
  });

  it('leaves what is missing below the head to the loader', () => {
    expect(() => load(classOf('BertForMaskedLM'), /intermediate|gamma/)).toThrow(
      /^model\.safetensors: tensor bert\.encoder\.layer\.0\.intermediate/,
    );
  });

  it.each([
    [
      classOf('BertLMHeadModel'),
      'architectures',
      /names BertLMHeadModel, expected one of: BertModel, BertFor/,
    ],
    [
      { ...classOf('BertForTokenClassification'), id2label: { 0: 'a', 2: 'c' } },
      'id2label',
      /no name for 1/,
    ],
    [
      { ...classOf('BertForTokenClassification'), id2label: 'a' },
      'id2label',
      /"a", expected names/,
    ],
    [{ is_decoder: true }, 'is_decoder', /is true, expected false/],
    [{ add_cross_attention: true }, 'add_cross_attention', /is true, expected false/],
    [
      { position_embedding_type: 'relative_key' },
      'position_embedding_type',
      /"relative_key", expected "absolute"/,
    ],
    [
      { num_attention_heads: 5 },
      'num_attention_heads',
      /is 5, expected a divisor of hidden_size 12/,
    ],
    [{ hidden_act: 'softplus' }, 'hidden_act', /"softplus", expected one of/],
    [
      { model_type: 'roberta', pad_token_id: -1 },
      'pad_token_id',
      /is -1, expected an integer of 0 or more/,
    ],
    [{ hidden_size: undefined }, 'hidden_size', /is missing/],
  ])('refuses %o', (changes, key, message) => {
    const error = failureOf(changes);
    expect(error.key).toBe(key);
    expect(error.message).toMatch(message);
  });
});
