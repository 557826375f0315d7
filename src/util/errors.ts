/**
 * Every error a caller of Quern can do something about, one class per kind.
 *
 * Messages read `where: what was found, expected what; what to do`, with the values in them. Aborts are not
 * here: they surface as the platform's own `AbortError` (`signal.reason`).
 *
 * @module
 */

/** Base of every error the library throws on purpose. */
export abstract class QuernError extends Error {
  abstract override readonly name: string;
}

/** WebGPU is missing, or it offers no adapter. */
export class NoWebGpuError extends QuernError {
  override readonly name = 'NoWebGpuError';
}

/** The device cannot hold or run what was asked of it. */
export class DeviceLimitError extends QuernError {
  override readonly name = 'DeviceLimitError';
  /** WebGPU limit or resource that was too small, e.g. `maxStorageBufferBindingSize` or `memory`. */
  readonly limit: string;
  readonly available: number;
  readonly needed: number;

  constructor(limit: string, available: number, needed: number, advice: string) {
    super(`device: ${limit} is ${available}, needed ${needed}; ${advice}`);
    this.limit = limit;
    this.available = available;
    this.needed = needed;
  }
}

/** The GPU ran out of memory. */
export class OutOfMemoryError extends QuernError {
  override readonly name = 'OutOfMemoryError';
}

/** The device was lost: driver reset, GPU removed, memory pressure, or destroyed on purpose. */
export class DeviceLostError extends QuernError {
  override readonly name = 'DeviceLostError';
  /** What the platform said of it, where that is known. */
  readonly reason: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.reason = options.reason;
  }
}

/** The GPU refused a command. Always a defect of the engine or of the driver, never of the request. */
export class GpuValidationError extends QuernError {
  override readonly name = 'GpuValidationError';
}

/** `config.json` or `generation_config.json` is missing, damaged, or describes a model we cannot run. */
export class ConfigError extends QuernError {
  override readonly name = 'ConfigError';
  /** Key of the offending entry, where there is one. */
  readonly key: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly key?: string } = {}) {
    super(message, options);
    this.key = options.key;
  }
}

/** A safetensors file or its index is damaged, incomplete, or lacks a tensor. */
export class WeightFileError extends QuernError {
  override readonly name = 'WeightFileError';
  readonly file: string;
  /** Name of the offending tensor, where there is one. */
  readonly tensor: string | undefined;

  constructor(
    file: string,
    message: string,
    options: ErrorOptions & { readonly tensor?: string } = {},
  ) {
    super(`${file}: ${message}`, options);
    this.file = file;
    this.tensor = options.tensor;
  }
}

/** The tokenizer or its chat template is missing, of an unknown kind, or failed. */
export class TokenizerError extends QuernError {
  override readonly name = 'TokenizerError';
}

/** A tensor has another shape or dtype than the operation needs. Always a defect of a model file. */
export class ShapeError extends QuernError {
  override readonly name = 'ShapeError';
}

/** A WGSL source could not be turned into shader code, or the browser's compiler refused it. */
export class ShaderError extends QuernError {
  override readonly name = 'ShaderError';
}

/** A request asks for something invalid: empty prompt, prompt too long, sampling value out of range. */
export class RequestError extends QuernError {
  override readonly name = 'RequestError';
  /** Name of the offending request field in the OpenAI spelling, e.g. `top_p`. */
  readonly param: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly param?: string } = {}) {
    super(message, options);
    this.param = options.param;
  }
}

/** A file could not be fetched or read. */
export class DownloadError extends QuernError {
  override readonly name = 'DownloadError';
  readonly url: string;
  /** HTTP status, where a server answered. */
  readonly status: number | undefined;

  constructor(
    url: string,
    message: string,
    options: ErrorOptions & { readonly status?: number } = {},
  ) {
    super(`${url}: ${message}`, options);
    this.url = url;
    this.status = options.status;
  }
}

/** The worker of a model could not be started, or died. */
export class WorkerError extends QuernError {
  override readonly name = 'WorkerError';
}

/** The model was disposed, or is being disposed, and takes no further work. */
export class DisposedError extends QuernError {
  override readonly name = 'DisposedError';

  constructor(message = 'model: disposed; load it again', options?: ErrorOptions) {
    super(message, options);
  }
}
