/** What the browser knows and does beside a measurement. @module */
import { NoWebGpuError } from 'quern';
import type { PageMemory } from '../../src/bench/index.ts';

/** Longest wait for a count of the page's memory: browsers may put it off until they collect garbage. */
const MEMORY_WAIT_MS = 3000;

/** https://wicg.github.io/performance-measure-memory/, and its predecessor; neither is in lib.dom. */
interface MemoryOfPage {
  readonly memory?: { readonly usedJSHeapSize: number };
  measureUserAgentSpecificMemory?(): Promise<{ readonly bytes: number }>;
}

/** @throws {NoWebGpuError} if the page has none */
export function gpuOfPage(): GPU {
  if ('gpu' in navigator) return navigator.gpu;
  throw new NoWebGpuError('page: navigator.gpu is missing');
}

/** What the page takes outside of the GPU; undefined where the browser does not tell. */
export async function pageMemory(): Promise<PageMemory | undefined> {
  const of: Performance & MemoryOfPage = performance;
  if (crossOriginIsolated && of.measureUserAgentSpecificMemory !== undefined) {
    const measured = of.measureUserAgentSpecificMemory().catch(() => undefined);
    const bytes = (await Promise.race([measured, wait(MEMORY_WAIT_MS)]))?.bytes;
    if (bytes !== undefined) return { bytes, of: 'page' };
  }
  return of.memory === undefined ? undefined : { bytes: of.memory.usedJSHeapSize, of: 'heap' };
}

/** Resolves when what was just changed is on the screen, or will not be. */
export function painted(): Promise<void> {
  return new Promise((resolve) => {
    // A task after the frame; a hidden page has no frames.
    if (!document.hidden) requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, document.hidden ? 0 : 200);
  });
}

/** Notices when the page is hidden. */
export function watchHidden(): {
  /** Whether it is, or was since this was asked before. */
  readonly wasHidden: () => boolean;
  readonly stop: () => void;
} {
  let wasHidden = false;
  const look = (): void => {
    wasHidden ||= document.hidden;
  };
  document.addEventListener('visibilitychange', look);
  return {
    wasHidden() {
      look();
      const result = wasHidden;
      wasHidden = false;
      return result;
    },
    stop: () => document.removeEventListener('visibilitychange', look),
  };
}

/** Keeps a phone from going to sleep, where the browser allows that. */
export async function keepScreenOn(): Promise<{ readonly release: () => void }> {
  try {
    const lock = await navigator.wakeLock.request('screen');
    return { release: () => void lock.release() };
  } catch {
    return { release: () => undefined };
  }
}

function wait(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
