import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin, type UserConfig } from 'vite';

const REPOSITORY = fileURLToPath(new URL('.', import.meta.url));

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
  plugins: [bundledWeights()],
  server: { fs: { allow: [REPOSITORY] } },
});

export default config;
