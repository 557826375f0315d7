/**
 * Entries of the published package: what `exports` and `bin` of package.json name, and the scripts that its code starts
 * by `new URL('./NAME.ts', import.meta.url)`. A file of `dist/` per key.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const ENTRIES = {
  index: 'src/index.ts',
  worker: 'src/worker/worker.ts',
  node: 'src/node/index.ts',
  react: 'src/react/use_chat.ts',
  'ai-sdk': 'src/ai_sdk/provider.ts',
  cli: 'src/cli/bin.ts',
  parity_page: 'src/cli/browser/parity_page.ts',
};

/** Entries with types; the others are started, not imported. */
export const TYPED_ENTRIES = ['index', 'worker', 'node', 'react', 'ai-sdk'];
