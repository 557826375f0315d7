import type { LoadProgress } from '../engine/api.ts';
import { openGpu } from '../node/gpu.ts';
import { formatBytes } from './format.ts';
import { adapterValue } from './model.ts';
import type { Terminal } from './terminal.ts';

/** What models of every kind are loaded with. */
export interface CommonLoadOptions {
  readonly gpu: GPU;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/**
 * Opens the adapter that `--adapter` names; progress is shown where there is a screen.
 *
 * @throws {UsageError} if there is no adapter of this name
 * @throws {NoWebGpuError} if there is no WebGPU in this process
 */
export async function loadOptions(
  adapter: string | undefined,
  terminal: Terminal,
): Promise<CommonLoadOptions> {
  const gpu = await openGpu(adapterValue(adapter));
  const { signal } = terminal;
  if (!terminal.isErrScreen) return { gpu, signal };
  return { gpu, signal, onProgress: (progress) => terminal.err(progressLine(progress)) };
}

/** Redraws one line of the screen; the last call clears it. */
function progressLine({ phase, file, loadedBytes, totalBytes }: LoadProgress): string {
  const clear = '\r\u001B[K';
  switch (phase) {
    case 'files':
      return `${clear}reading configuration`;
    case 'weights':
      return `${clear}${file?.split('/').pop() ?? 'weights'} ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`;
    case 'compile':
      return `${clear}compiling shaders`;
    case 'ready':
      return clear;
  }
}
