// What we use of the package, whose own types are there only when the peers are installed (`paths` in tsconfig.json).
import type { Ort } from '../ort.ts';

export declare const env: Ort['env'] & {
  readonly versions: { readonly web: string };
  readonly webgpu: { readonly device: Promise<GPUDevice> };
};
export declare const Tensor: Ort['Tensor'];
export declare const InferenceSession: Ort['InferenceSession'];
