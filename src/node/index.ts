/**
 * What an engine needs in Node: WebGPU, and models in folders.
 *
 * ```js
 * const engine = await Engine.load(openDirectory('models/smollm2'), { gpu: await openGpu() });
 * ```
 *
 * @module
 */
export { openDirectory } from './directory.ts';
export { openGpu, type AdapterChoice, type OpenGpuOptions } from './gpu.ts';
export type { ByteSource, ModelSource } from '../weights/source.ts';
