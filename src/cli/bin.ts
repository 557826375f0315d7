#!/usr/bin/env node
/** The `quern` command of the installed package. @module */
import { main } from './main.ts';

// Not awaited here: the bundler would then put one more file before each that the library imports lazily.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
