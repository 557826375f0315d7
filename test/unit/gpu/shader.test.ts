import { describe, expect, it } from 'vitest';
import { locate, specialize, type Slots } from '../../../src/gpu/shader.ts';
import { ShaderError } from '../../../src/util/errors.ts';

const LIBRARY = {
  'lib/sum.wgsl': '//!include lib/lane.wgsl\nfn sum() {}\n',
  'lib/fast_sum.wgsl': '//!enable subgroups\n//!include lib/lane.wgsl\nfn sum() { /* fast */ }\n',
  'lib/lane.wgsl': 'const LANES: u32 = 4u;\nfn lane() {}\n',
  'lib/half.wgsl': '//!enable f16\n//!enable subgroups\nalias Half = f16;\n',
};

const SOURCE = `// A kernel.
const SIZE: u32 = 64u;
const EPS: f32 = 1e-6;
const IS_ON: bool = false;
const COUNT = 3;
alias Element = f32;

//!include SUM lib/sum.wgsl
fn main() {
  const SIZE = 1u;
}
`;

function special(slots: Slots, source = SOURCE): string {
  return specialize('kernel', source, slots, LIBRARY);
}

describe('specialize', () => {
  it('replaces the values of constants and aliases and nothing else', () => {
    const slots = { SIZE: 7, EPS: 0.5, IS_ON: true, COUNT: -2, Element: 'vec4<f16>' };
    const lines = special(slots).split('\n');
    expect(lines.slice(0, 11)).toEqual([
      '// A kernel.',
      'const SIZE: u32 = 7;',
      'const EPS: f32 = f32(0.5);',
      'const IS_ON: bool = true;',
      'const COUNT = -2;',
      'alias Element = vec4<f16>;',
      '',
      '//!include SUM lib/sum.wgsl',
      'fn main() {',
      '  const SIZE = 1u;',
      '}',
    ]);
  });

  it('leaves a file without slots and includes as it is', () => {
    expect(special({}, 'fn main() {}\n')).toBe('fn main() {}\n');
  });

  it('writes numbers of any size so that WGSL reads them', () => {
    const line = (value: number): string | undefined => special({ EPS: value }).split('\n')[2];
    expect(line(1e-7)).toBe('const EPS: f32 = f32(1e-7);');
    expect(line(3)).toBe('const EPS: f32 = f32(3);');
    expect(line(1e30)).toBe('const EPS: f32 = f32(1e+30);');
  });

  it('appends included files once, and those that they include', () => {
    const code = special({}, `//!include lib/sum.wgsl\n//!include lib/lane.wgsl\n${SOURCE}`);
    expect(code.match(/fn sum\(\)/g)).toHaveLength(1);
    expect(code.match(/fn lane\(\)/g)).toHaveLength(1);
  });

  it('puts a sibling file in the place of a named include, and its extensions on the first line', () => {
    const code = special({ SUM: 'lib/fast_sum.wgsl' });
    expect(code).toContain('/* fast */');
    expect(code).not.toContain('fn sum() {}');
    expect(code.startsWith('enable subgroups; // A kernel.\n')).toBe(true);
  });

  it('enables each extension once', () => {
    const source = '//!include lib/half.wgsl\n//!include lib/fast_sum.wgsl\nfn main() {}';
    const code = special({}, source);
    expect(code.split('\n')[0]).toBe('enable f16; enable subgroups; //!include lib/half.wgsl');
  });

  it('gives constants of included files values too', () => {
    expect(special({ LANES: 8 })).toContain('const LANES: u32 = 8;');
  });

  it('moves no line', () => {
    const original = SOURCE.split('\n');
    const lines = special({ SIZE: 1, SUM: 'lib/fast_sum.wgsl' }).split('\n');
    expect(lines.indexOf('fn main() {')).toBe(original.indexOf('fn main() {'));
    expect(lines.findIndex((line) => line.includes('A kernel'))).toBe(0);
  });

  it('names slots that the file does not have', () => {
    expect(() => special({ SIZES: 1, SIZE: 2, Other: 3 })).toThrow(ShaderError);
    expect(() => special({ SIZES: 1, SIZE: 2, Other: 3 })).toThrow(
      'kernel.wgsl: nothing is called SIZES, Other',
    );
    // Only at module scope, only whole names.
    expect(() => special({ inner: 1 }, 'fn main() {\n  const inner = 2;\n}')).toThrow('inner');
  });

  it('names files that do not exist', () => {
    expect(() => special({ SUM: 'lib/slow_sum.wgsl' })).toThrow(
      new ShaderError('kernel.wgsl: include lib/slow_sum.wgsl: no such file in shaders/'),
    );
  });
});

describe('locate', () => {
  it('finds the file and line that a line of code comes from', () => {
    const code = special({ SUM: 'lib/fast_sum.wgsl', SIZE: 9 });
    const lineOf = (text: string): string =>
      locate('kernel', code, code.split('\n').findIndex((line) => line.includes(text)) + 1);
    expect(lineOf('A kernel')).toBe('kernel.wgsl:1');
    expect(lineOf('fn main')).toBe('kernel.wgsl:9');
    expect(lineOf('/* fast */')).toBe('lib/fast_sum.wgsl:3');
    expect(lineOf('LANES')).toBe('lib/lane.wgsl:1');
    expect(lineOf('fn lane')).toBe('lib/lane.wgsl:2');
  });
});
