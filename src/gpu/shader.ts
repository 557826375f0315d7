import { ShaderError } from '../util/errors.ts';

/**
 * Value of one specialization slot: a number or flag for a `const`, a type name for an `alias`, a library
 * path such as `lib/reduce_tree.wgsl` for a named include.
 */
export type Slot = number | boolean | string;
export type Slots = Readonly<Record<string, Slot>>;

const INCLUDE = /^\/\/!include (?:([A-Z][A-Z_0-9]*) )?(\S+\.wgsl)$/gm;
const ENABLE = /^\/\/!enable (\w+)$/gm;
/** Line before the text of an included file. */
const FILE = '//!file ';
const DECLARATION = /^(const|alias) (\w+)(: (\w+))? = [^;]+;/gm;

/**
 * Turns a kernel's WGSL file into the code of one pipeline.
 *
 * Three things happen, and nothing else. Files named by `//!include path` or `//!include NAME path` lines are
 * appended; a slot called NAME puts a sibling file with the same contract in that place. Module-scope
 * `const NAME: T = …;` and `alias NAME = …;` declarations take their value from `slots`. Extensions that an
 * included file asks for with `//!enable name` are enabled on the first line. No line moves, so compiler
 * messages carry the line numbers of the file on disk; those of included files are found by {@link locate}. (The
 * published package has shaders in a short form, see scripts/lib/minify_shaders.js: there the file's name tells.)
 *
 * @param library - path → text of the files that can be included
 * @throws {ShaderError} if an include is unknown, or a slot names nothing in the file
 */
export function specialize(
  name: string,
  source: string,
  slots: Slots,
  library: Readonly<Record<string, string>>,
): string {
  const unused = new Set(Object.keys(slots));
  const linked = link(name, source, slots, library, unused);

  const code = linked.replace(
    DECLARATION,
    (
      line,
      kind: string,
      slot: string,
      annotation: string | undefined,
      type: string | undefined,
    ) => {
      const value = slots[slot];
      if (value === undefined) return line;
      unused.delete(slot);
      return `${kind} ${slot}${annotation ?? ''} = ${literal(value, type)};`;
    },
  );
  if (unused.size > 0) {
    throw new ShaderError(`${name}.wgsl: nothing is called ${[...unused].join(', ')}`);
  }
  const extensions = new Set([...code.matchAll(ENABLE)].map(([, extension]) => extension ?? ''));
  return [...extensions].map((extension) => `enable ${extension}; `).join('') + code;
}

/** File and line on disk, `path:line`, of a line of specialized code; lines count from 1. */
export function locate(name: string, code: string, line: number): string {
  const before = code.split('\n').slice(0, line);
  const start = before.findLastIndex((text) => text.startsWith(FILE));
  return start === -1
    ? `${name}.wgsl:${line}`
    : `${before[start]?.slice(FILE.length)}:${line - start - 1}`;
}

/** Appends every included file once, includes of includes too. */
function link(
  name: string,
  source: string,
  slots: Slots,
  library: Readonly<Record<string, string>>,
  unused: Set<string>,
): string {
  const texts = [source];
  const seen = new Set<string>();
  for (let i = 0; i < texts.length; i += 1) {
    for (const [, slot, path = ''] of (texts[i] ?? '').matchAll(INCLUDE)) {
      const chosen = slot === undefined ? path : String(slots[slot] ?? path);
      if (slot !== undefined) unused.delete(slot);
      if (seen.has(chosen)) continue;
      seen.add(chosen);
      const text = library[chosen];
      if (text === undefined) {
        throw new ShaderError(`${name}.wgsl: include ${chosen}: no such file in shaders/`);
      }
      texts.push(`${FILE}${chosen}\n${text}`);
    }
  }
  return texts.join('\n');
}

function literal(value: Slot, type: string | undefined): string {
  return type === 'f32' ? `f32(${String(value)})` : String(value);
}
