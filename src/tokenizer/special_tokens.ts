import { isRecord } from '../util/objects.ts';

/** A token with a role of its own. */
interface SpecialToken {
  readonly text: string;
  /** Undefined if the vocabulary lacks it. */
  readonly id: number | undefined;
}

const ROLES = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'] as const;
type Role = (typeof ROLES)[number];

/** The special tokens that tokenizer_config.json (or special_tokens_map.json) names. */
export type SpecialTokens = Readonly<Partial<Record<Role, SpecialToken>>>;

type Config = Readonly<Record<string, unknown>>;

/** Reads `bos_token` and its kin: strings, or the objects that added tokens are saved as. */
export function readSpecialTokens(
  config: Config,
  specialTokensMap: Config,
  tokenToId: (token: string) => number | undefined,
): SpecialTokens {
  const tokens: Partial<Record<Role, SpecialToken>> = {};
  for (const role of ROLES) {
    const text = tokenText(config[`${role}_token`]) ?? tokenText(specialTokensMap[`${role}_token`]);
    if (text !== undefined) tokens[role] = { text, id: tokenToId(text) };
  }
  return tokens;
}

/** Text of a token that a configuration spells as a string or as an object. */
export function tokenText(token: unknown): string | undefined {
  const text = isRecord(token) ? token['content'] : token;
  return typeof text === 'string' ? text : undefined;
}

/** Reads `additional_special_tokens`. */
export function additionalSpecialTokens(config: Config, specialTokensMap: Config): string[] {
  const key = 'additional_special_tokens';
  const list = config[key] ?? specialTokensMap[key];
  if (!Array.isArray(list)) return [];
  return list.map(tokenText).filter((text) => text !== undefined);
}

/** Tokenizer classes that put BOS and EOS by their own flags, and their default for `add_bos_token`. */
const CLASSES_WITH_FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['Llama', true],
  ['CodeLlama', true],
  ['Gemma', true],
  ['Cohere', true],
  ['GPTNeoX', false],
]);

/** A post-processor in the spelling of tokenizer.json. */
export interface TemplateProcessing {
  readonly type: 'TemplateProcessing';
  readonly single: TemplateItem[];
  readonly pair: TemplateItem[];
}

type TemplateItem =
  | { SpecialToken: { id: string; type_id: number; ids: number[]; tokens: string[] } }
  | { Sequence: { id: string; type_id: number } };

/**
 * The post-processor that Transformers puts in place of the one in tokenizer.json: some tokenizer classes rebuild it
 * from `add_bos_token` and `add_eos_token` when they load (`update_post_processor`, e.g. tokenization_llama_fast.py).
 *
 * @returns undefined where tokenizer.json's own one stands
 */
export function postProcessorFromFlags(
  config: Config,
  { bos, eos }: SpecialTokens,
): TemplateProcessing | undefined {
  const name = /^(\w+?)Tokenizer(?:Fast)?$/.exec(String(config['tokenizer_class']))?.[1] ?? '';
  const bosByDefault = CLASSES_WITH_FLAGS.get(name);
  if (bosByDefault === undefined) return undefined;
  const addsBos = (config['add_bos_token'] ?? bosByDefault) === true;
  const addsEos = config['add_eos_token'] === true;
  const before = addsBos ? bos : undefined;
  const after = addsEos ? eos : undefined;
  if ((addsBos && before?.id === undefined) || (addsEos && after?.id === undefined)) {
    return undefined;
  }
  const text = (id: string, type: number): TemplateItem[] => [
    ...special(before, type),
    { Sequence: { id, type_id: type } },
    ...special(after, type),
  ];
  return {
    type: 'TemplateProcessing',
    single: text('A', 0),
    pair: [...text('A', 0), ...text('B', 1)],
  };
}

function special(token: SpecialToken | undefined, type: number): TemplateItem[] {
  if (token?.id === undefined) return [];
  const { id, text } = token;
  return [{ SpecialToken: { id: text, type_id: type, ids: [id], tokens: [text] } }];
}
