import { fileURLToPath } from 'node:url';
import { createRunnableDevEnvironment, resolveConfig } from 'vite';

/** Folder of the checkout, without a slash at the end. */
export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/**
 * Imports a TypeScript file of the repository, `?raw` imports included, in a few hundred milliseconds.
 *
 * Vite's own `runnerImport` ends with the import, so that an `import()` which comes later fails; this one ends when
 * `use` does.
 *
 * @template T
 * @param {string} file - path inside the repository, e.g. `src/cli/main.ts`
 * @param {(module: any) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withTypeScript(file, use) {
  const config = await resolveConfig(
    {
      root: REPOSITORY,
      configFile: false,
      envDir: false,
      logLevel: 'error',
      // As an installed package would be found.
      resolve: {
        alias: {
          'quern/node': `${REPOSITORY}/src/node/index.ts`,
          quern: `${REPOSITORY}/src/index.ts`,
        },
      },
      environments: {
        node: {
          consumer: 'server',
          dev: { moduleRunnerTransform: true },
          resolve: { external: true, mainFields: [], conditions: ['node'] },
        },
      },
    },
    'serve',
  );
  const environment = createRunnableDevEnvironment('node', config, {
    runnerOptions: { hmr: false },
    hot: false,
  });
  await environment.init();
  try {
    return await use(await environment.runner.import(`${REPOSITORY}/${file}`));
  } finally {
    await environment.close();
  }
}
