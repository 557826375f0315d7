/**
 * The only place that names the worker's file. Bundlers find it by the whole expression `new Worker(new URL(…))`, and
 * browsers without a bundler beside this file, so both stay as they are.
 *
 * @module
 */

/** Starts a worker of the page's own. */
export function spawnWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'quern' });
}

/** Starts the worker that all tabs of the site share, or finds it running. Its name holds `PROTOCOL_VERSION`. */
export function spawnSharedWorker(): SharedWorker {
  return new SharedWorker(new URL('./worker.ts', import.meta.url), {
    type: 'module',
    name: 'quern-3',
  });
}
