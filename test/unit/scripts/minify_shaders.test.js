import { describe, expect, it } from 'vitest';
import { minifyShader, shaderMinifier } from '../../../scripts/lib/minify_shaders.js';
import { REPOSITORY } from '../../../scripts/lib/import_typescript.js';
import { specialize } from '../../../src/gpu/shader.ts';
import { readShaders } from '../../support/shader_files.ts';

describe('minifyShader', () => {
  const minify = (source, globals = [], short = []) =>
    minifyShader(source, new Set(globals), new Map(short));

  it('takes comments and white space away', () => {
    expect(
      minify('// a\nfn main() {\n  x = 4 / 2; // b\n  y = z /* c */ - -1.5e-3f * 0x1p-24;\n}\n'),
    ).toBe('fn main(){x=4/2;y=z- -1.5e-3f*0x1p-24;}');
    expect(minify('var<private> a: array<f32, 2> = b();')).toBe('var<private>a:array<f32,2> =b();');
    expect(minify('fn f() { a >>= 1u; b = c >= d; e--; }')).toBe('fn f(){a>>=1u;b=c>=d;e--;}');
  });

  it('keeps directives and declarations on lines of their own, as specialize finds them', () => {
    const short = minify(
      'const SIZE: u32 = 4u;\n//!include lib/b.wgsl\nalias Real = f32;\nfn f() {}\nconst ALL = SIZE\n  * 2u;\n',
    );
    expect(short).toBe(
      'const SIZE: u32 = 4u;\n//!include lib/b.wgsl\nalias Real = f32;\nfn f(){}\nconst ALL = SIZE*2u;\n',
    );
    const code = specialize('a', short, { SIZE: 8, Real: 'f16' }, { 'lib/b.wgsl': '' });
    expect(code).toContain('const SIZE: u32 = 8;\n');
    expect(code).toContain('alias Real = f16;\n');
  });

  it('gives variables one letter, but not that of anything else in the function', () => {
    expect(
      minify(
        'fn f(first: u32) -> u32 { let second = first + a; return second * b(second.first); }',
      ),
    ).toBe('fn f(c:u32)->u32{let d=c+a;return d*b(d.first);}');
  });

  it('leaves names that mean more than the variable', () => {
    const source =
      'fn f(@builtin(local_id) local_id: u32) { let max = max(1, 2); let size = size; }';
    expect(minify(source, ['size'])).toBe(
      'fn f(@builtin(local_id)local_id:u32){let max=max(1,2);let size=size;}',
    );
  });

  it('gives shared names their short ones, members apart', () => {
    expect(minify('fn long(x: Long) { x.long = long(x); }', ['long'], [['long', '_0']])).toBe(
      'fn _0(x:Long){x.long=_0(x);}',
    );
  });
});

describe('shaders in their short form', () => {
  const shaders = { ...readShaders(), ...readShaders('lib') };
  const minify = shaderMinifier(REPOSITORY);

  it('say the same with other names', () => {
    /** Short names of what is declared outside of functions. */
    const shared = new Map();
    for (const [name, source] of Object.entries(shaders)) {
      const before = split(words(source));
      const after = split(words(minify(source)));
      expect(after.map(({ length }) => length)).toEqual(before.map(({ length }) => length));
      for (const [i, part] of before.entries()) {
        // One name for one name, in all scopes of a function at once: none can catch what another meant.
        const here = new Map(part.map((word, k) => [word, after[i][k]]));
        expect(after[i], name).toEqual(part.map((word) => here.get(word)));
        expect(new Set(here.values()).size, name).toBe(here.size);
        const local = part[0] === 'fn' ? declared(part) : new Set();
        for (const [word, short] of here) {
          if (local.has(word)) continue;
          expect(shared.get(word) ?? short, name).toBe(short);
          shared.set(word, short);
        }
      }
    }
    expect(new Set(shared.values()).size).toBe(shared.size);
    const renamed = [...shared].filter(([word, short]) => word !== short);
    expect(renamed.length).toBeGreaterThan(100);
    expect(renamed.map(([, short]) => short)).toEqual(
      renamed.map(() => expect.stringMatching(/^_\w+$/)),
    );
  });
});

/** Words, numbers and signs; a member keeps the dot before it. */
function words(source) {
  const code = source.replaceAll(/^\/\/!.*$/gm, '').replaceAll(/\/\/.*$/gm, '');
  return code.match(/\.?[A-Za-z_]\w*|\d[\w.]*(?<=[ep])[+-]\d+|\d[\w.]*|\S/g) ?? [];
}

/** Functions, and what is between them. */
function split(list) {
  const parts = [[]];
  let depth = 0;
  for (const word of list) {
    if (word === 'fn') parts.push([]);
    parts.at(-1).push(word);
    if (word === '{') depth += 1;
    if (word === '}') depth -= 1;
    if (word === '}' && depth === 0) parts.push([]);
  }
  return parts;
}

/** Names that a function declares itself. */
function declared(list) {
  const body = list.indexOf('{');
  return new Set(
    list.filter((_, i) =>
      i < body ? list[i + 1] === ':' : ['let', 'var', 'const'].includes(list[i - 1]),
    ),
  );
}
