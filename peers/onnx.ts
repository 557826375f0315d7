/**
 * ONNX models made in memory: a graph builder over the few messages in `onnx.proto`.
 *
 * Weights are not copied into the model: they are external data, handed over beside it.
 *
 * @module
 */
import protobuf from 'protobufjs';
import proto from './onnx.proto?raw';

/** ONNX's numbers of element types. */
const DATA_TYPES = { f32: 1, u8: 2, i32: 6, i64: 7 } as const;
/** ONNX's numbers of attribute types. */
const ATTRIBUTE = { float: 1, int: 2, ints: 7 } as const;
/** Initializers up to this size lie in the model itself, where shape inference sees them. */
const INLINE_BYTES = 1024;
const EXTERNAL = 1;
const IR_VERSION = 9;
/** The ONNX operators' version, and that of Microsoft's own. */
const OPSETS = [
  { domain: '', version: 18 },
  { domain: 'com.microsoft', version: 1 },
];

const { root } = protobuf.parse(proto, { keepCase: true });
const Model = root.lookupType('onnx.Model');

export type OnnxType = keyof typeof DATA_TYPES;
type Values = Float32Array | Uint8Array | Int32Array | BigInt64Array;

/** An integer is written as such; a number to be a float is given as `{ float }`. */
export type AttributeValue = number | readonly number[] | { readonly float: number };

/** A string is a size that is known when the model runs; without a shape, any will do. */
type Shape = readonly (number | string)[];

/** A file of weights that exists in memory only, as `externalData` of a session takes it. */
export interface ExternalData {
  readonly path: string;
  readonly data: Uint8Array;
}

/** A model and the weights that it refers to. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  readonly externalData: readonly ExternalData[];
}

/** Collects nodes and weights; every value is known by its name. */
export class OnnxGraph {
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  readonly #externalData: ExternalData[] = [];

  input(name: string, type: OnnxType, shape?: Shape): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  output(name: string, type: OnnxType, shape?: Shape): string {
    this.#outputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** A constant. Its values must not change while the model is in use. */
  weight(name: string, dims: readonly number[], values: Values): string {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const tensor = { name, dims, data_type: DATA_TYPES[typeOf(values)] };
    if (data.length <= INLINE_BYTES) {
      this.#initializers.push({ ...tensor, raw_data: data });
    } else {
      this.#externalData.push({ path: name, data });
      const external = { location: name, offset: '0', length: `${data.length}` };
      this.#initializers.push({
        ...tensor,
        external_data: Object.entries(external).map(([key, value]) => ({ key, value })),
        data_location: EXTERNAL,
      });
    }
    return name;
  }

  /**
   * Adds a node.
   *
   * @param op - the operator, with `com.microsoft:` before it if it is one of theirs
   * @param inputs - names of values; an empty one is an input left out
   * @returns `output`
   */
  node(
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
    moreOutputs: readonly string[] = [],
  ): string {
    const [domain, opType] = op.includes(':') ? op.split(':') : ['', op];
    this.#nodes.push({
      name: output,
      op_type: opType,
      domain,
      input: inputs,
      output: [output, ...moreOutputs],
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    return output;
  }

  build(): OnnxModel {
    const graph = {
      name: 'graph',
      node: this.#nodes,
      initializer: this.#initializers,
      input: this.#inputs,
      output: this.#outputs,
    };
    const model = {
      ir_version: IR_VERSION,
      producer_name: 'quern-peers',
      opset_import: OPSETS,
      graph,
    };
    return {
      bytes: Model.encode(Model.fromObject(model)).finish(),
      externalData: this.#externalData,
    };
  }
}

function typeOf(values: Values): OnnxType {
  if (values instanceof Float32Array) return 'f32';
  if (values instanceof Uint8Array) return 'u8';
  return values instanceof Int32Array ? 'i32' : 'i64';
}

function attribute(name: string, value: AttributeValue): object {
  if (typeof value === 'number') return { name, i: value, type: ATTRIBUTE.int };
  return 'float' in value
    ? { name, f: value.float, type: ATTRIBUTE.float }
    : { name, ints: value, type: ATTRIBUTE.ints };
}

function valueInfo(name: string, type: OnnxType, shape?: Shape): object {
  const dim = shape?.map((size) =>
    typeof size === 'number' ? { dim_value: size } : { dim_param: size },
  );
  const tensor_type = { elem_type: DATA_TYPES[type], ...(dim && { shape: { dim } }) };
  return { name, type: { tensor_type } };
}
