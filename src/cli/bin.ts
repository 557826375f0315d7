#!/usr/bin/env node
/** The `quern` command of the installed package. @module */
import { main } from './main.ts';

process.exitCode = await main(process.argv.slice(2));
