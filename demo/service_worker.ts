/** Keeps the site for use without a network, and tells of its new versions. @module */
import { type ReadonlySignal, signal } from '@preact/signals';

const changeVersion = signal<(() => void) | undefined>(undefined);

/** Changes to the site's new version, where one lies ready; reloads the page. */
export const newVersion: ReadonlySignal<(() => void) | undefined> = changeVersion;

/**
 * Registers the service worker of the built site; the development server has none. Call it when the page has what it
 * needs: the worker fetches everything there is.
 */
export async function keepForOffline(): Promise<void> {
  const isBuilt = document.querySelector('link[rel=manifest]') !== null;
  if (!isBuilt || !('serviceWorker' in navigator)) return;
  try {
    offer(await navigator.serviceWorker.register('./sw.js'));
  } catch {
    // Forbidden, as in some private windows: then the site needs the network.
  }
}

function offer(registration: ServiceWorkerRegistration): void {
  const check = (): void => {
    const { waiting } = registration;
    // The first version takes the place of none: nothing is to be asked.
    if (waiting === null || navigator.serviceWorker.controller === null) return;
    changeVersion.value = () => {
      navigator.serviceWorker.addEventListener('controllerchange', () => location.reload());
      // Understood by the worker that workbox generates. The rule takes the worker for a window.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      waiting.postMessage({ type: 'SKIP_WAITING' });
    };
  };
  const watch = (): void => registration.installing?.addEventListener('statechange', check);
  check();
  watch();
  registration.addEventListener('updatefound', watch);
}
