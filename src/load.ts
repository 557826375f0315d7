import type { Engine as EngineInterface, LoadOptions } from './engine/api.ts';
import type { ModelLocation } from './weights/sources/resolve.ts';

/** A language model on the GPU, ready to reply to any number of requests at once. */
export type Engine = EngineInterface;

/** Makes engines. */
export const Engine: {
  /**
   * Loads a model.
   *
   * @param from - Hugging Face repository id (`owner/name`, `owner/name@revision`), URL of a folder, files a person
   *   picked, a directory handle, or a source of your own
   * @throws {NoWebGpuError} if there is no WebGPU
   * @throws {DeviceLimitError} {@link OutOfMemoryError} if the GPU cannot hold the model
   * @throws {ConfigError} {@link WeightFileError} {@link TokenizerError} if a file is missing, damaged or unsupported
   * @throws {DownloadError} if a file cannot be read
   * @throws {RequestError} if an option is invalid
   * @throws {WorkerError} if the worker cannot be started
   * @throws `signal.reason` when aborted; everything is freed then, as after any other error
   */
  readonly load: (from: ModelLocation, options?: LoadOptions) => Promise<Engine>;
} = {
  async load(from, options = {}) {
    // Each apart, so that a page whose engine runs in a worker does not fetch the engine itself.
    if (options.worker === undefined || options.worker === false) {
      const { LocalEngine } = await import('./engine/engine.ts');
      return LocalEngine.load(from, options);
    }
    const { RemoteEngine } = await import('./worker/client.ts');
    return RemoteEngine.load(from, options);
  },
};
