/** What a call of `encode` asks for, checked. @module */
import type { EncoderModel } from '../models/family.ts';
import { RequestError } from '../util/errors.ts';
import type { EncodingOptions, Pooling } from './encoder_api.ts';
import { FIRST, MEAN, type EncoderTask } from './encoder_batches.ts';
import { OptionReader, wrongInRequest } from './option_reader.ts';
import { checkParams } from './params.ts';
import type { SentenceConfig } from './sentence_config.ts';

/** What there is to ask for. */
export interface EncoderFacts extends Pick<
  EncoderModel,
  'outputs' | 'vocab' | 'tokenTypes' | 'maxPositions'
> {
  /** The checkpoint's class, such as `BertModel`. */
  readonly architecture: string;
  readonly sentence: SentenceConfig | undefined;
}

/** An output of a call: one of the model's, or a column of one. */
export interface NamedOutput {
  /** The model's name for it. */
  readonly source: string;
  /** Numbers in a row of that. */
  readonly width: number;
  /** Which of them this is; absent: it is all. */
  readonly column?: number;
}

export interface EncodingPlan {
  /** What is computed. */
  readonly task: Pick<EncoderTask, 'outputs' | 'selects'>;
  /** What is returned, by name. */
  readonly outputs: ReadonlyMap<string, NamedOutput>;
  /** Output of `task` that is the vector, if one is asked for. */
  readonly vector: string | undefined;
  readonly normalizes: boolean;
  readonly maxTokens: number;
  readonly truncates: boolean;
}

const OPTIONS: Readonly<Record<keyof EncodingOptions, true>> = {
  pooling: true,
  normalize: true,
  outputs: true,
  rows: true,
  maxTokens: true,
  truncate: true,
  signal: true,
  onProgress: true,
};

/** Longest text that a person can mean, where the model sets no limit. */
const MAX_TOKENS = 2 ** 24;
const POOLED: Readonly<Record<Pooling, string>> = {
  mean: MEAN,
  first: FIRST,
  pooler: 'pooler_output',
};

/** Every name that `outputs` can ask for. An output whose columns have names is asked for by these. */
export function namedOutputs(outputs: EncoderModel['outputs']): ReadonlyMap<string, NamedOutput> {
  return new Map(
    Object.entries(outputs).flatMap(([source, { size: width, columns }]) =>
      columns === undefined
        ? [[source, { source, width }] as const]
        : columns.map((name, column) => [name, { source, width, column }] as const),
    ),
  );
}

/** Outputs of calls that name neither `pooling` nor `outputs`. */
export function defaultOutputs({ outputs, sentence }: EncoderFacts): readonly string[] {
  if (sentence?.pooling !== undefined) return [];
  const heads = [...namedOutputs(outputs).keys()].filter(
    (name) => name !== 'last_hidden_state' && name !== 'pooler_output',
  );
  return heads.length > 0 ? heads : ['last_hidden_state'];
}

/** Most tokens of a text, where the call does not say. */
export function defaultMaxTokens({ maxPositions, sentence }: EncoderFacts): number {
  return Math.min(sentence?.maxTokens ?? Infinity, maxPositions);
}

/**
 * Checks the options of a call and fills in the defaults.
 *
 * @throws {RequestError} naming the option, its value and what is accepted
 */
export function planEncoding(options: EncodingOptions, facts: EncoderFacts): EncodingPlan {
  checkParams(options);
  refuseUnknown(options);
  const reader = new OptionReader({ ...options }, wrongInRequest);
  const isFunction = (value: unknown): value is () => void => typeof value === 'function';
  reader.read('onProgress', isFunction, 'a function');
  const { names, pooling, normalizes } = readWishes(reader, facts);
  const outputs = pickOutputs(names, facts);
  const vector = pooling && POOLED[pooling];
  if (vector === 'pooler_output' && facts.outputs[vector] === undefined) {
    throw new RequestError(
      `request: pooling is "pooler", but this ${facts.architecture} has no pooler; choose "mean" or "first"`,
      { param: 'pooling' },
    );
  }
  const isRows = oneOf(['all', 'masked']);
  const rows = reader.read('rows', isRows, '"all" or "masked"') ?? 'all';
  const most = Math.min(facts.maxPositions, MAX_TOKENS);
  const sources = [...outputs.values()].map(({ source }) => source);
  return {
    task: {
      outputs: [...new Set(vector === undefined ? sources : [...sources, vector])].toSorted(),
      selects: rows === 'masked',
    },
    outputs,
    vector,
    normalizes,
    maxTokens: reader.integer('maxTokens', 1, most) ?? defaultMaxTokens(facts),
    truncates: reader.flag('truncate') ?? false,
  };
}

/** A slip of the pen would otherwise pass for an option left out. */
function refuseUnknown(options: EncodingOptions): void {
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(OPTIONS, key));
  if (unknown === undefined) return;
  throw new RequestError(
    `request: ${unknown} is no option of encode, expected one of: ${Object.keys(OPTIONS).join(', ')}`,
    { param: unknown },
  );
}

/** What of the model is asked for, by the caller or else by the repository. */
function readWishes(
  reader: OptionReader,
  facts: EncoderFacts,
): { names: readonly string[]; pooling: Pooling | undefined; normalizes: boolean } {
  const isPooling = oneOf(['mean', 'first', 'pooler']);
  const asked = reader.read('pooling', isPooling, '"mean", "first" or "pooler"');
  const listed = reader.read('outputs', isNames, 'a list of names of outputs');
  const normalize = reader.flag('normalize');
  const { sentence } = facts;
  if (asked === undefined && listed === undefined && sentence !== undefined) {
    if (sentence.unsupported !== undefined) {
      throw new RequestError(
        `request: ${sentence.unsupported}, which is not supported; choose \`pooling\` or \`outputs\``,
        { param: 'pooling' },
      );
    }
    if (sentence.pooling !== undefined) {
      const { pooling } = sentence;
      return { names: [], pooling, normalizes: normalize ?? sentence.normalize };
    }
  }
  if (normalize === true && asked === undefined) {
    throw new RequestError(
      'request: normalize is true without `pooling`, expected one: "mean", "first" or "pooler"',
      { param: 'normalize' },
    );
  }
  const names = listed ?? (asked === undefined ? defaultOutputs(facts) : []);
  return { names, pooling: asked, normalizes: normalize ?? false };
}

function pickOutputs(
  names: readonly string[],
  { outputs, architecture }: EncoderFacts,
): ReadonlyMap<string, NamedOutput> {
  const known = namedOutputs(outputs);
  return new Map(
    names.map((name) => {
      const output = known.get(name);
      if (output !== undefined) return [name, output];
      const isHead = name === 'pooler_output' || name.endsWith('logits');
      throw new RequestError(
        `request: outputs asks for "${name}", but this ${architecture} gives only: ${[...known.keys()].join(', ')}` +
          (isHead ? `; use a checkpoint with the head that gives ${name}` : ''),
        { param: 'outputs' },
      );
    }),
  );
}

function oneOf<T extends string>(values: readonly T[]): (value: unknown) => value is T {
  return (value): value is T => values.some((known) => known === value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && [...value].every((name) => typeof name === 'string'); // `every` skips holes
}
