// `npm run quern -- ...`: the `quern` command, straight from its TypeScript sources. Its own --help lists what it does.
import { withTypeScript } from './lib/import_typescript.js';

process.exitCode = await withTypeScript('src/cli/main.ts', ({ main }) =>
  main(process.argv.slice(2)),
);
