/**
 * Quern: transformer inference on WebGPU, from Hugging Face safetensors repositories, without conversion.
 *
 * @module
 */
export { Encoder, Engine, Seq2Seq } from './load.ts';
export type * from './engine/api.ts';
export type * from './engine/encoder_api.ts';
export type * from './engine/openai.ts';
export type * from './engine/seq2seq_api.ts';
export type { EngineLimits, Seq2SeqLimits } from './engine/limits.ts';
export type { DraftOptions, SpeculationOption } from './engine/speculation_options.ts';
export type { OpenDeviceOptions, OptionalFeature } from './gpu/open_device.ts';
export type { KvDType } from './kernels/kv_cache.ts';
export type { ChatMessage, TextPart } from './tokenizer/chat_template.ts';
export type { DecodeOptions, EncodeOptions } from './tokenizer/tokenizer.ts';
export type { FormSize, WeightChoice, WeightOption } from './weights/forms.ts';
export type { ByteSource, ModelSource } from './weights/source.ts';
export type { ModelLocation } from './weights/sources/resolve.ts';
export type { HttpOptions } from './weights/sources/http.ts';
export type { ParityOptions, ParityReport } from './engine/inspect.ts';
export type { TensorDifference } from './engine/reference_outputs.ts';
export { parity } from './parity.ts';
export * from './util/errors.ts';
