/**
 * Waiting for the GPU in browsers that are slow to say that it is done: Firefox looks for finished work when something is
 * submitted, and else every 50 to 100 ms, so that a lone read-back took 50 ms instead of one.
 *
 * @module
 */

const INTERVAL_MS = 2;

/** Who waits for a queue, and whether it is being asked to look. */
interface Waiting {
  count: number;
  isNudged: boolean;
}

const waits = new WeakMap<GPUQueue, Waiting>();

/**
 * Has a promise of the GPU's kept as soon as it can be, by submitting nothing every now and then.
 *
 * @param done - what `mapAsync` or `onSubmittedWorkDone` returned
 */
export async function promptly<T>(
  queue: GPUQueue,
  done: Promise<T>,
  userAgent: string = globalThis.navigator?.userAgent ?? '',
): Promise<T> {
  if (!/\bFirefox\//.test(userAgent)) return done;
  const waiting = waits.get(queue) ?? { count: 0, isNudged: false };
  waits.set(queue, waiting);
  waiting.count += 1;
  if (!waiting.isNudged) nudge(queue, waiting);
  try {
    return await done;
  } finally {
    waiting.count -= 1;
  }
}

/** Resolves when the queue has done what was submitted so far. */
export function workDone(queue: GPUQueue): Promise<undefined> {
  return promptly(queue, queue.onSubmittedWorkDone());
}

function nudge(queue: GPUQueue, waiting: Waiting): void {
  waiting.isNudged = waiting.count > 0;
  if (!waiting.isNudged) return;
  queue.submit([]);
  setTimeout(() => {
    nudge(queue, waiting);
  }, INTERVAL_MS);
}
