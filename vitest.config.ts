import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { PACKAGE_ENTRIES } from './vite.config.ts';

/** The drivers work in the test's own process, and two software adapters already fill two cores. */
const GPU = { pool: 'forks', maxWorkers: 2, testTimeout: 60_000, hookTimeout: 60_000 } as const;

// The projects run one after another (`groupOrder`), the quick ones first.
const config: ViteUserConfig = defineConfig({
  resolve: { alias: PACKAGE_ENTRIES },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: {
    reporters: ['default', './test/support/count_reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.{ts,js}'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          ...GPU,
          name: 'shader',
          include: ['test/shader/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...GPU,
          name: 'gpu',
          include: ['test/gpu/**/*.test.ts'],
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          ...GPU,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          sequence: { groupOrder: 3 },
          // Each browser is several busy processes, and a page that waits for a core looks like one that hangs.
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: 'test/package/support/tarball.ts',
          sequence: { groupOrder: 4 },
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

export default config;
