import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const PAGE = readFileSync('docs/api.md', 'utf8');
/** Words in code spans and code blocks. */
const CODE_WORDS = new Set(
  [...PAGE.matchAll(/```[^]*?```|`[^`\n]+`/g)].flatMap(([code]) => code.match(/\w+/g) ?? []),
);

/** Members that say nothing by themselves. */
const UNSAID = new Set(['constructor', 'specificationVersion', 'provider']);

const FILES = readdirSync('api').map(
  (file) => [file, readFileSync(`api/${file}`, 'utf8')] as const,
);

describe('docs/api.md', () => {
  it.each(FILES)('names every export of %s, and its members', (_file, types) => {
    const exported = [
      ...types.matchAll(
        /^export declare (?:abstract )?(?:class|const|function|interface|type) (\w+)/gm,
      ),
    ];
    const members = [...types.matchAll(/^ {2,4}(?:readonly )?(\w+)\??(?=: |\()/gm)];
    const names = [...exported, ...members].flatMap(([, name]) => name ?? []);
    const missing = names.filter((name) => !CODE_WORDS.has(name) && !UNSAID.has(name));
    expect([...new Set(missing)]).toEqual([]);
  });

  it('names no option that there is not', () => {
    const types = FILES.map(([, text]) => text).join('\n');
    const rows = [...PAGE.matchAll(/^\| `(\w+)`/gm)].flatMap(([, name]) => name ?? []);
    expect(rows.length).toBeGreaterThan(50);
    const unknown = rows.filter(
      (name) => name !== 'quern' && !new RegExp(`\\b${name}\\b`).test(types),
    );
    expect(unknown).toEqual([]);
  });
});
