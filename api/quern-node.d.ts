import { ByteSource } from 'quern';
import { ModelSource } from 'quern';

/**
 * Which adapter to open: `default` is a real GPU where there is one, else lavapipe, else SwiftShader; `null` is
 * Dawn's null backend, which compiles shaders and checks calls but computes nothing.
 */
export declare type AdapterChoice = 'default' | 'lavapipe' | 'swiftshader' | 'null';

export { ByteSource };

export { ModelSource };

/**
 * A model in a folder of this machine's file system (Node only).
 *
 * A file is open only while it is read, so there is nothing to close.
 *
 * @param directory - path of the folder that holds `config.json`
 * @throws {RequestError} if that is no text
 */
export declare function openDirectory(directory: string): ModelSource;

/**
 * Opens WebGPU on the chosen adapter and installs the WebGPU globals (`GPUBufferUsage`, ...) on `globalThis`.
 *
 * Several choices can be open in one process; the same choice gives the same object.
 *
 * @throws {NoWebGpuError} if the package `webgpu` or the adapter is missing; the message says how to get it
 * @throws {RequestError} if there is no such choice
 */
export declare function openGpu(choice?: AdapterChoice, options?: OpenGpuOptions): Promise<GPU>;

/** Settings of {@link openGpu}. */
export declare interface OpenGpuOptions {
  /** Dawn toggles to switch on, e.g. `dump_shaders`. */
  readonly enable?: readonly string[];
}

export {};
