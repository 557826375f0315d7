import { isRecord } from '../util/objects.ts';
import { roundTexts, type PostProcessor } from './post_processor.ts';

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

/**
 * The post-processor that Transformers puts in place of the one in tokenizer.json: some tokenizer classes rebuild it
 * from `add_bos_token` and `add_eos_token` when they load (`update_post_processor`, e.g. tokenization_llama_fast.py).
 *
 * @returns undefined where tokenizer.json's own one stands
 */
export function postProcessorFromFlags(
  config: Config,
  { bos, eos }: SpecialTokens,
): PostProcessor | undefined {
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
  return roundTexts(ids(before), ids(after), 1);
}

function ids(token: SpecialToken | undefined): readonly number[] {
  return token?.id === undefined ? [] : [token.id];
}
