// `npm run bench:browser -- ...`: the benchmark page in a headless browser. Its own --help lists what it does.
import { withTypeScript } from './lib/import_typescript.js';

process.exitCode = await withTypeScript('src/cli/bench_browser.ts', ({ main }) =>
  main(process.argv.slice(2)),
);
