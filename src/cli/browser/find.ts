import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Browsers that models can be run in. Chromium compiles WGSL with Tint, Firefox with Naga. */
export type BrowserName = 'chromium' | 'firefox';

/** Every {@link BrowserName}. */
export const BROWSERS: readonly BrowserName[] = ['chromium', 'firefox'];

const COMMANDS: Readonly<Record<BrowserName, readonly string[]>> = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'],
  firefox: ['firefox', 'firefox-esr', 'firefox-developer-edition', 'firefox-nightly'],
};

const APPLICATIONS: Readonly<Record<BrowserName, readonly string[]>> = {
  chromium: [
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  ],
  firefox: [
    '/Applications/Firefox.app/Contents/MacOS/firefox',
    'C:\\Program Files\\Mozilla Firefox\\firefox.exe',
  ],
};

const VARIABLES: Readonly<Record<BrowserName, string>> = {
  chromium: 'QUERN_CHROMIUM',
  firefox: 'QUERN_FIREFOX',
};

/** Where a browser is installed: the path, or a sentence that says what was looked for and how to get it. */
export type FoundBrowser =
  | { readonly path: string }
  | { readonly path: undefined; readonly reason: string };

/** Finds a browser: `QUERN_CHROMIUM` / `QUERN_FIREFOX`, then the search path, then the usual folders. */
export function findBrowser(name: BrowserName): FoundBrowser {
  const variable = VARIABLES[name];
  const asked = process.env[variable];
  if (asked !== undefined) {
    if (existsSync(asked)) return { path: asked };
    return { path: undefined, reason: `${variable} names ${asked}, which does not exist` };
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = COMMANDS[name].flatMap((command) =>
    folders.map((folder) => join(folder, command)),
  );
  const path = [...candidates, ...APPLICATIONS[name]].find((file) => existsSync(file));
  if (path !== undefined) return { path };
  const apt = name === 'firefox' ? 'firefox-esr' : 'chromium';
  return {
    path: undefined,
    reason:
      `no ${name}: none of ${COMMANDS[name].join(', ')} is on the search path; ` +
      `install it (Debian: apt install ${apt}) or set ${variable} to its path`,
  };
}
