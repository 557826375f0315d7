/**
 * Quern: transformer inference on WebGPU, from Hugging Face safetensors repositories, without conversion.
 *
 * @module
 */
export { Engine } from './load.ts';
export type * from './engine/api.ts';
export type { EngineLimits } from './engine/limits.ts';
export type { ChatMessage } from './tokenizer/chat_template.ts';
export type { ByteSource, ModelSource } from './weights/source.ts';
export type { ModelLocation } from './weights/sources/resolve.ts';
export type { HttpOptions } from './weights/sources/http.ts';
export { parity, type ParityOptions, type ParityReport } from './engine/inspect.ts';
export * from './util/errors.ts';
