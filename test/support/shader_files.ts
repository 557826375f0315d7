import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SHADERS = fileURLToPath(new URL('../../shaders/', import.meta.url));

/** Texts of the .wgsl files directly in a folder below shaders/, by base name. */
export function readShaders(folder = ''): Readonly<Record<string, string>> {
  const files = readdirSync(`${SHADERS}${folder}`).filter((file) => file.endsWith('.wgsl'));
  return Object.fromEntries(
    files.map((file) => [
      file.replace('.wgsl', ''),
      readFileSync(`${SHADERS}${folder}/${file}`, 'utf8'),
    ]),
  );
}
