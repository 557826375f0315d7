import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin, type UserConfig } from 'vite';

const REPOSITORY = fileURLToPath(new URL('.', import.meta.url));

/** The package's entries from their sources: pages and examples import what an installed package offers. */
export const PACKAGE_ENTRIES: Readonly<Record<string, string>> = {
  'quern/react': `${REPOSITORY}src/react/use_chat.ts`,
  'quern/ai-sdk': `${REPOSITORY}src/ai_sdk/provider.ts`,
  'quern/node': `${REPOSITORY}src/node/index.ts`,
  quern: `${REPOSITORY}src/index.ts`,
};

/**
 * Serves `weights/` of the repository at `/weights/`, with range requests.
 *
 * Vite serves any allowed file under `/@fs/`, so a shorter address for it is all that is missing.
 */
function bundledWeights(): Plugin {
  return {
    name: 'quern:bundled-weights',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith('/weights/')) {
          request.url = `/@fs${encodeURI(REPOSITORY.replace(/[\\/]$/, ''))}${request.url}`;
        }
        next();
      });
    },
  };
}

const config: UserConfig = defineConfig({
  root: `${REPOSITORY}demo`,
  // Not a single-page application: a missing file is an error 404, not the page.
  appType: 'mpa',
  cacheDir: `${REPOSITORY}node_modules/.vite`,
  resolve: { alias: PACKAGE_ENTRIES },
  // Examples for React say so in their files.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [bundledWeights()],
  server: { fs: { allow: [REPOSITORY] } },
});

export default config;
