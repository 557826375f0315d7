/**
 * Who is still there: each side holds a Web Lock of a name of its own as long as it lives, and the other waits for it.
 *
 * The browser releases the locks of a page that is closed, reloaded, crashed or put away for the back button, and of a
 * worker that ended in whatever way; no message tells of any of these.
 *
 * @module
 */

/**
 * Takes a lock and keeps it until `signal` is aborted or this page or worker ends.
 *
 * @returns its name; undefined where there are no Web Locks, such as in Node and in sandboxed frames
 */
export function holdLock(signal?: AbortSignal): Promise<string | undefined> {
  const name = `quern-${crypto.randomUUID()}`;
  const locks = webLocks();
  if (locks === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const holding = locks.request(name, () => {
      resolve(name);
      return new Promise<void>((release) => {
        signal?.addEventListener('abort', () => release());
        if (signal?.aborted === true) release();
      });
    });
    holding.catch(() => resolve(undefined));
  });
}

/**
 * Calls `onGone` when the holder of a lock is gone; not after `signal` is aborted.
 *
 * @param name - from {@link holdLock} of the other side
 */
export function whenGone(name: string | undefined, signal: AbortSignal, onGone: () => void): void {
  const locks = webLocks();
  if (name === undefined || locks === undefined || signal.aborted) return;
  locks.request(name, { signal }, () => !signal.aborted && onGone()).catch(() => undefined);
}

function webLocks(): LockManager | undefined {
  return globalThis.navigator?.locks;
}
