/** Models for tests: those of the project, and variations of them made in memory. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The bundled chat model. */
export const CHAT_MODEL = 'weights/tinychat';

/** Folder of tiny models with the outputs of the reference implementation. */
export const CONFORMANCE = 'test/fixtures/conformance';

/** Names of the models in {@link CONFORMANCE}. */
export const CONFORMANCE_MODELS: readonly string[] = readdirSync(CONFORMANCE).toSorted();

/** The contents of every file of a folder, by name. */
export function readModelFiles(folder: string): Readonly<Record<string, Uint8Array>> {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map(({ name }) => [name, readFileSync(join(folder, name))]));
}

/** Parses a JSON file of a model. */
export function readModelJson(folder: string, name: string): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(join(folder, name), 'utf8'));
}
