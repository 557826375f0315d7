import { ACTIVATIONS, type Activation } from '../kernels/activation.ts';
import type { RopeConfig, RopeScaling } from '../nn/rope.ts';
import { ConfigError } from '../util/errors.ts';

/** Names of config.json for the activation functions. */
const ACTIVATION_NAMES: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  sigmoid: 'sigmoid',
  tanh: 'tanh',
};

/** Sizes past this are damage, not models. */
const MAX_SIZE = 2 ** 31 - 1;
/** The same of layers. */
const MAX_LAYERS = 1024;
/** The same of positions and distances with a row each in a table that is computed. */
export const MAX_POSITIONS = 65_536;

type Json = Readonly<Record<string, unknown>>;

/** Reads keys of a parsed JSON object, naming file, key, value and expectation in every error. */
class JsonReader {
  readonly #json: Json;
  readonly #where: string;
  readonly #prefix: string;

  constructor(json: Json, where: string, prefix = '') {
    this.#json = json;
    this.#where = where;
    this.#prefix = prefix;
  }

  /** All of it, as it was parsed. */
  get json(): Json {
    return this.#json;
  }

  /** The value of a key; a JSON null counts as absent, as in Transformers. */
  raw(key: string): unknown {
    return this.#json[key] ?? undefined;
  }

  string(key: string, fallback?: string): string {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== 'string') throw this.#wrong(key, value, 'a string');
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== 'boolean') throw this.#wrong(key, value, 'true or false');
    return value;
  }

  /** A positive integer, of at most `most`. */
  size(key: string, fallback?: number, most: number = MAX_SIZE): number {
    const value = this.raw(key) ?? fallback;
    if (isSize(value) && value <= most) return value;
    const range = most === MAX_SIZE ? 'a positive integer' : `an integer from 1 to ${most}`;
    throw this.#wrong(key, value, range);
  }

  /** A number of layers, or of groups of them. */
  layers(key: string, fallback?: number): number {
    return this.size(key, fallback, MAX_LAYERS);
  }

  optionalSize(key: string): number | undefined {
    return this.raw(key) === undefined ? undefined : this.size(key);
  }

  /** An integer that is not negative: a number of things that may be absent, or a token id. */
  count(key: string, fallback?: number): number {
    const value = this.raw(key) ?? fallback;
    if (value === 0 || isSize(value)) return value;
    throw this.#wrong(key, value, 'an integer of 0 or more');
  }

  /** A positive finite number. */
  positive(key: string, fallback?: number): number {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw this.#wrong(key, value, 'a positive number');
    }
    return value;
  }

  /** A nested object, if there is one. */
  object(key: string): JsonReader | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (!isObject(value)) throw this.#wrong(key, value, 'an object');
    return new JsonReader(value, this.#where, `${this.#prefix}${key}.`);
  }

  fail(key: string, what: string): ConfigError {
    return new ConfigError(`${this.#where}: "${this.#prefix}${key}" ${what}`, { key });
  }

  #wrong(key: string, value: unknown, expected: string): ConfigError {
    if (value === undefined) return this.fail(key, `is missing, expected ${expected}`);
    return this.fail(key, `is ${JSON.stringify(value)}, expected ${expected}`);
  }
}

/**
 * Typed access to config.json, in the spelling of older repositories (`rope_theta`, `rope_scaling`) and the
 * newer one (`rope_parameters`).
 */
export class ConfigReader extends JsonReader {
  /** @throws {ConfigError} if `json` is not an object, or describes weights in a quantized layout */
  constructor(json: unknown) {
    if (!isObject(json)) {
      throw new ConfigError(
        'config.json: not a JSON object, expected the configuration of a model',
      );
    }
    const modelType = json['model_type'];
    super(json, typeof modelType === 'string' ? `config.json (${modelType})` : 'config.json');
    const method = this.object('quantization_config')?.raw('quant_method');
    if (method !== undefined) {
      throw this.fail(
        'quantization_config',
        `names the layout ${JSON.stringify(method)}, expected unquantized f32, f16 or bf16 weights; use the original repository`,
      );
    }
  }

  /**
   * Heads of grouped-query attention: `num_attention_heads`, `num_key_value_heads`, `head_dim`.
   *
   * @param dim - residual width, shared out over the heads where `head_dim` is absent
   */
  attentionHeads(dim: number): {
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
  } {
    const heads = this.size('num_attention_heads');
    const kvHeads = this.size('num_key_value_heads', heads);
    if (heads % kvHeads !== 0) {
      throw this.fail('num_key_value_heads', `is ${kvHeads}, expected a divisor of ${heads} heads`);
    }
    if (this.raw('head_dim') === undefined && dim % heads !== 0) {
      throw this.fail(
        'num_attention_heads',
        `is ${heads}, expected a divisor of hidden_size ${dim}`,
      );
    }
    return { heads, kvHeads, headDim: this.size('head_dim', dim / heads) };
  }

  /**
   * Heads that share out the width, as those of encoders do.
   *
   * @param key - their number
   * @param width - key of the width, for the error
   */
  equalHeads(
    key: string,
    dim: number,
    width: string,
  ): { readonly heads: number; readonly kvHeads: number; readonly headDim: number } {
    const heads = this.size(key);
    if (dim % heads === 0) return { heads, kvHeads: heads, headDim: dim / heads };
    throw this.fail(key, `is ${heads}, expected a divisor of ${width} ${dim}`);
  }

  /** Name of the Transformers class that saved the checkpoint: the first of `architectures`. */
  architecture(): string | undefined {
    const names = this.raw('architectures');
    if (names === undefined) return undefined;
    const first: unknown = Array.isArray(names) ? names[0] : names;
    if (typeof first === 'string' || first === undefined) return first;
    throw this.fail('architectures', `is ${JSON.stringify(names)}, expected a list of class names`);
  }

  activation(key: string, fallback: string): Activation {
    const name = this.string(key, fallback);
    const activation = ACTIVATION_NAMES[name];
    if (activation === undefined || !ACTIVATIONS.includes(activation)) {
      const known = Object.keys(ACTIVATION_NAMES).join(', ');
      throw this.fail(key, `is "${name}", expected one of: ${known}`);
    }
    return activation;
  }

  /**
   * Rotary embedding.
   *
   * @param headDim - size of a head; `partial_rotary_factor` of it is rotated
   * @param options - `layerType`: the entry of `rope_parameters` where layers of several types have one each;
   *   `thetaKey`: where older repositories keep θ; `theta`: its default
   */
  rope(
    headDim: number,
    options: {
      readonly layerType?: string;
      readonly thetaKey?: string;
      readonly theta?: number;
    } = {},
  ): RopeConfig {
    const { layerType, thetaKey = 'rope_theta', theta: fallback = 10000 } = options;
    const shared = this.object('rope_parameters') ?? this.object('rope_scaling');
    const scaling = (layerType === undefined ? undefined : shared?.object(layerType)) ?? shared;
    const theta =
      scaling?.raw('rope_theta') === undefined
        ? this.positive(thetaKey, fallback)
        : scaling.positive('rope_theta');
    const partial = this.positive('partial_rotary_factor', 1);
    const rotaryDim = Math.floor(headDim * partial);
    if (rotaryDim % 2 !== 0 || rotaryDim > headDim || rotaryDim === 0) {
      const key = this.raw('head_dim') === undefined ? 'num_attention_heads' : 'head_dim';
      throw this.fail(
        key,
        `gives ${rotaryDim} rotary dimensions of ${headDim}, expected an even number`,
      );
    }
    const maxPositions = this.size('max_position_embeddings', 2048);
    return { theta, rotaryDim, scaling: readScaling(scaling, maxPositions) };
  }
}

function readScaling(json: JsonReader | undefined, maxPositions: number): RopeScaling {
  // `type` is the spelling before `rope_type`.
  const key = json?.raw('rope_type') === undefined ? 'type' : 'rope_type';
  const type = json?.string(key, 'default');
  if (json === undefined || type === 'default') return { type: 'default' };
  const originalPositions = (): number =>
    json.size('original_max_position_embeddings', maxPositions);
  switch (type) {
    case 'linear':
      return { type, factor: json.positive('factor') };
    case 'dynamic':
      return { type, factor: json.positive('factor'), maxPositions };
    case 'llama3':
      return {
        type,
        factor: json.positive('factor'),
        lowFreqFactor: json.positive('low_freq_factor'),
        highFreqFactor: json.positive('high_freq_factor'),
        originalPositions: originalPositions(),
      };
    case 'yarn':
      return readYarn(json, originalPositions(), maxPositions);
    default:
      throw json.fail(key, `is "${type}", expected one of: default, linear, dynamic, llama3, yarn`);
  }
}

function readYarn(json: JsonReader, originalPositions: number, maxPositions: number): RopeScaling {
  const factor = json.positive('factor', maxPositions / originalPositions);
  const scale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const mscale = json.raw('mscale') === undefined ? undefined : json.positive('mscale');
  const mscaleAll =
    json.raw('mscale_all_dim') === undefined ? undefined : json.positive('mscale_all_dim');
  const fallback =
    mscale !== undefined && mscaleAll !== undefined ? scale(mscale) / scale(mscaleAll) : scale(1);
  return {
    type: 'yarn',
    factor,
    originalPositions,
    betaFast: json.positive('beta_fast', 32),
    betaSlow: json.positive('beta_slow', 1),
    truncate: json.flag('truncate', true),
    attentionFactor: json.positive('attention_factor', fallback),
  };
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= MAX_SIZE;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
