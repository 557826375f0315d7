import { ShaderError } from '../util/errors.ts';
import type { Kernel, Access } from './kernel.ts';
import { locate, specialize, type Slots } from './shader.ts';
import { SHADER_LIBRARY } from './shader_library.ts';

const BINDING_TYPES: Readonly<Record<Access, GPUBufferBindingType>> = {
  read: 'read-only-storage',
  write: 'storage',
  update: 'storage',
  uniform: 'uniform',
};

/** A pipeline that is there or on its way, and the layout its bind groups need. */
export interface PipelineEntry {
  readonly layout: GPUBindGroupLayout;
  readonly ready: Promise<GPUComputePipeline>;
}

/** Compute pipelines by the final text of their shader; compiled asynchronously, each once. */
export class PipelineCache {
  readonly #gpu: GPUDevice;
  readonly #entries = new Map<string, PipelineEntry>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Number of distinct pipelines asked for so far. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Starts compiling a kernel with these slots, or finds it.
   *
   * @throws {ShaderError} if the source cannot be specialized; `ready` rejects with one if it does not compile
   */
  get(kernel: Kernel, slots: Slots): PipelineEntry {
    const code = specialize(kernel.name, kernel.source, slots, SHADER_LIBRARY);
    const found = this.#entries.get(code);
    if (found !== undefined) return found;

    const layout = this.#layout(Object.values(kernel.bindings));
    const ready = this.#compile(kernel.name, code, layout);
    ready.catch(() => undefined); // reported where it is awaited
    const entry = { layout, ready };
    this.#entries.set(code, entry);
    return entry;
  }

  #layout(accesses: readonly Access[]): GPUBindGroupLayout {
    const key = accesses.join();
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      layout = this.#gpu.createBindGroupLayout({
        label: key,
        entries: accesses.map((access, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: BINDING_TYPES[access] },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  async #compile(
    name: string,
    code: string,
    bindGroupLayout: GPUBindGroupLayout,
  ): Promise<GPUComputePipeline> {
    // Diagnostics come from getCompilationInfo; the scope keeps them from being reported as a device failure.
    this.#gpu.pushErrorScope('validation');
    const module = this.#gpu.createShaderModule({ label: name, code });
    void this.#gpu.popErrorScope().catch(() => undefined);
    try {
      return await this.#gpu.createComputePipelineAsync({
        label: name,
        layout: this.#gpu.createPipelineLayout({ bindGroupLayouts: [bindGroupLayout] }),
        compute: { module, entryPoint: 'main' },
      });
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const errors = messages
        .filter((message) => message.type === 'error')
        .map(
          ({ lineNum, linePos, message }) =>
            `${locate(name, code, lineNum)}:${linePos}: ${message}`,
        );
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ShaderError(errors.length > 0 ? errors.join('\n') : `${name}.wgsl: ${reason}`, {
        cause,
      });
    }
  }
}
