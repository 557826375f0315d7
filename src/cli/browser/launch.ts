import { tmpdir } from 'node:os';
import type { Browser, Page } from 'puppeteer-core';
import { NoWebGpuError } from '../../util/errors.ts';
import { type BrowserName, findBrowser } from './find.ts';

/** WebGPU, and none of the traffic that a browser causes by itself. */
const CHROMIUM_ARGS = [
  '--enable-unsafe-webgpu',
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--disable-sync',
  '--no-first-run',
  '--no-pings',
];

/** Which adapter Chromium uses: SwiftShader, or a GPU where it finds one. Firefox chooses by itself. */
export type BrowserAdapter = 'swiftshader' | 'default';

const ADAPTER_ARGS: Readonly<Record<BrowserAdapter, readonly string[]>> = {
  swiftshader: ['--use-webgpu-adapter=swiftshader'],
  // Chromium on Linux knows few drivers, and reaches GPUs through Vulkan only.
  default: ['--enable-features=Vulkan', '--ignore-gpu-blocklist'],
};

/** Firefox has WebGPU off on Linux, and refuses software adapters unless told otherwise. */
const FIREFOX_PREFS = {
  'dom.webgpu.enabled': true,
  'dom.webgpu.workers.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'app.update.enabled': false,
  'browser.safebrowsing.downloads.remote.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/**
 * Starts a headless browser with WebGPU.
 *
 * @param adapter - of Chromium; a software adapter unless given
 * @throws {NoWebGpuError} if the browser (see {@link findBrowser}) or puppeteer-core is not installed
 */
export async function launchBrowser(
  name: BrowserName,
  adapter: BrowserAdapter = 'swiftshader',
): Promise<Browser> {
  const found = findBrowser(name);
  if (found.path === undefined) throw new NoWebGpuError(found.reason);
  const { launch } = await loadPuppeteer();
  const common = {
    executablePath: found.path,
    headless: true,
    // One call runs a whole model in the page, and software adapters take their time.
    protocolTimeout: 600_000,
    env: { XDG_RUNTIME_DIR: tmpdir(), ...process.env },
  };
  return name === 'chromium'
    ? launch({ ...common, browser: 'chrome', args: [...CHROMIUM_ARGS, ...ADAPTER_ARGS[adapter]] })
    : launch({ ...common, browser: 'firefox', extraPrefsFirefox: FIREFOX_PREFS });
}

/** A development dependency: whoever installs the package to use it in a page does not have it. */
async function loadPuppeteer(): Promise<typeof import('puppeteer-core')> {
  try {
    return await import('puppeteer-core');
  } catch (cause) {
    throw new NoWebGpuError(
      `browser: the package "puppeteer-core" could not be loaded (${String(cause)}); install it with: npm install --save-dev puppeteer-core`,
      { cause },
    );
  }
}

/**
 * Calls a function that a module exports, inside a page.
 *
 * @param page - a page of the server that serves the module
 * @param module - path on the server, e.g. `/test/browser/pages/webgpu.ts`
 * @param name - the exported function
 * @param args - JSON values
 * @returns what the function returned (or its promise resolved to), through JSON
 */
export async function callInPage<T>(
  page: Page,
  module: string,
  name: string,
  ...args: readonly unknown[]
): Promise<T> {
  // A string, because Vitest rewrites the `import` of a function that is written here.
  const json = await page.evaluate(`(async () => {
    const { [${JSON.stringify(name)}]: call } = await import(${JSON.stringify(module)});
    return JSON.stringify(await call(...${JSON.stringify(args)}));
  })()`);
  if (typeof json !== 'string') throw new Error(`${name} of ${module} returned nothing`);
  // The caller says what its function returns, as with page.evaluate.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(json) as T;
}
