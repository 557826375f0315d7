// What we use of the package, whose own types are there only when the peers are installed (`paths` in tsconfig.json).
import type { OrtTensor } from '../ort.ts';

interface PretrainedOptions {
  readonly device: 'webgpu';
  readonly dtype: 'fp32';
  readonly local_files_only: boolean;
  readonly session_options: object;
}

interface Tensor {
  readonly dims: readonly number[];
}

/** Called with the inputs of its graph. */
interface Model {
  (inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  generate(options: object): Promise<unknown>;
  dispose(): Promise<unknown>;
}

interface AutoClass {
  from_pretrained(name: string, options: PretrainedOptions): Promise<Model>;
}

export declare const AutoModel: AutoClass;
export declare const AutoModelForCausalLM: AutoClass;
export declare const Tensor: new (
  type: string,
  data: BigInt64Array,
  dims: readonly number[],
) => Tensor;
export declare const env: {
  readonly version: string;
  readonly backends: {
    readonly onnx: {
      readonly versions: { readonly web: string };
      readonly wasm: { wasmPaths: undefined };
    };
  };
  allowRemoteModels: boolean;
  allowLocalModels: boolean;
  useBrowserCache: boolean;
  useWasmCache: boolean;
  fetch: (input: string | URL) => Promise<Response>;
};
