import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { SlowFirst } from './test/support/slow_first.ts';
import { PACKAGE_ENTRIES } from './vite.config.ts';

/** The drivers work in the test's own process, and two software adapters already fill two cores. */
const GPU = { pool: 'forks', maxWorkers: 2, testTimeout: 60_000, hookTimeout: 60_000 } as const;

// Projects run one after another (`groupOrder`), the quick ones first; those of the same number together.
const config: ViteUserConfig = defineConfig({
  resolve: { alias: PACKAGE_ENTRIES },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: {
    reporters: ['default', './test/support/count_reporter.ts'],
    sequence: { sequencer: SlowFirst },
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
          include: ['test/shader/**/*.test.{ts,js}'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...GPU,
          name: 'gpu',
          include: ['test/gpu/**/*.test.ts'],
          // Of lavapipe: shaders run for milliseconds here, and LLVM's optimizer takes seconds for each. In the browsers
          // they are optimized.
          env: { GALLIVM_PERF: 'nopt' },
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
          // Pages spend half of their time waiting, and the applications of `package` are installed and built.
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
          sequence: { groupOrder: 3 },
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

export default config;
